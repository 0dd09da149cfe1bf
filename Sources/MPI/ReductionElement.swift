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

/// What MPI calls a type of number.
///
/// Only this library makes values, one for each type MPI reduces.
public struct ReductionType: Sendable {
    /// The type's name in messages, such as `float32`.
    public let name: String

    enum Kind { case float32, float64, int64 }

    let kind: Kind

    var handle: MPI_Datatype {
        switch kind {
        case .float32: cmpi_float()
        case .float64: cmpi_double()
        case .int64: cmpi_int64()
        }
    }
}

/// A number MPI can reduce: `Float`, `Double` or `Int64`.
public protocol ReductionElement: Sendable, BitwiseCopyable {
    /// What MPI calls this type.
    static var reductionType: ReductionType { get }
}

extension Float: ReductionElement {
    /// 32-bit floating point.
    public static var reductionType: ReductionType { ReductionType(name: "float32", kind: .float32) }
}

extension Double: ReductionElement {
    /// 64-bit floating point.
    public static var reductionType: ReductionType { ReductionType(name: "float64", kind: .float64) }
}

extension Int64: ReductionElement {
    /// 64-bit signed integers.
    public static var reductionType: ReductionType { ReductionType(name: "int64", kind: .int64) }
}
