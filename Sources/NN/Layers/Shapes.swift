import Tensors

/// The input itself.
public final class Identity: Module, Layer {
    /// The input.
    public func callAsFunction(_ input: Tensor) -> Tensor { input }
}

/// Neighbouring dimensions merged into one, by default all but the first.
public final class Flatten: Module, Layer {
    private let first, last: Int

    /// Merges dimensions `first` through `last`; negative ones count from the end.
    public init(from first: Int = 1, through last: Int = -1) {
        self.first = first
        self.last = last
    }

    /// `[batch, …]` to `[batch, features]`.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.flattened(from: first, through: last) }
}

/// A dimension cut into several.
public final class Unflatten: Module, Layer {
    private let dimension: Int
    private let extents: [Int]

    /// Cuts a dimension into the given extents, one of which may be −1.
    public init(_ dimension: Int, into extents: [Int]) {
        self.dimension = dimension
        self.extents = extents
    }

    /// `[…, features, …]` to `[…, extents…, …]`.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        let d = dimension < 0 ? dimension + input.rank : dimension
        require(0..<input.rank ~= d, "Unflatten", "dimension \(dimension) of input \(input.shape)")
        let full = input.shape[d], known = extents.filter { $0 != -1 }.reduce(1, *)
        let sizes = extents.map { $0 == -1 && known > 0 ? full / known : $0 }
        require(
            sizes.reduce(1, *) == full, "Unflatten",
            "dimension \(dimension) of input \(input.shape) cannot become \(extents)")
        return input.reshaped(to: Shape(Array(input.shape[..<d]) + sizes + Array(input.shape[(d + 1)...])))
    }
}
