import CMPI

/// How `allReduce` combines the values of the ranks.
public enum ReductionOperation: Sendable, CaseIterable {
    /// The sum.
    ///
    /// For floating point the order is MPI's own: not the same bits on every number of ranks.
    case sum
    /// The smallest value.
    case minimum
    /// The largest value.
    case maximum

    var handle: MPI_Op {
        switch self {
        case .sum: cmpi_sum()
        case .minimum: cmpi_min()
        case .maximum: cmpi_max()
        }
    }
}

/// A number MPI can reduce: `Float`, `Double` or `Int64`.
///
/// The requirement is not public, so no other type can conform.
public protocol ReductionElement: Sendable, BitwiseCopyable {
    /// The wire name of the type, as in error messages.
    static var reductionName: String { get }
}

extension Float: ReductionElement {
    /// The wire name, `float32`.
    public static var reductionName: String { "float32" }
}

extension Double: ReductionElement {
    /// The wire name, `float64`.
    public static var reductionName: String { "float64" }
}

extension Int64: ReductionElement {
    /// The wire name, `int64`.
    public static var reductionName: String { "int64" }
}
