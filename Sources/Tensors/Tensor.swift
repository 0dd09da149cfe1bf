/// A multi-dimensional array of numbers with value semantics, and its place in the gradient graph.
///
/// A tensor is a view (shape, strides, offset) on a storage that may be shared; writing to a shared storage copies it
/// first, so a tensor behaves like an `Array`. Reshaping, transposing, slicing and expanding move no data.
///
/// Sendable on the same argument as `Array`: storage is never written while it is shared, and graph nodes belong to
/// the thread that runs the numeric path; hand tensors without gradient across threads.
public struct Tensor: @unchecked Sendable {
    /// The element type.
    public let dtype: DType
    /// The extents, outermost first.
    public internal(set) var shape: Shape
    /// Distances, in elements, between neighbours along each dimension; 0 where a dimension is expanded.
    var strides: Shape
    /// The place of the first element in the storage, in elements.
    var offset: Int
    var storage: Storage
    /// The operation that made this tensor, when a gradient is to flow back through it.
    var node: GradientNode?

    init(dtype: DType, shape: Shape, strides: Shape, offset: Int, storage: Storage, node: GradientNode? = nil) {
        self.dtype = dtype
        self.shape = shape
        self.strides = strides
        self.offset = offset
        self.storage = storage
        self.node = node
    }

    /// A tensor of this shape whose elements are whatever the memory held; for code that fills it at once, and so knows its
    /// type: `float32` in a run of any precision.
    public init(uninitialized shape: Shape, dtype: DType = .float32) {
        self.init(
            dtype: dtype, shape: shape, strides: shape.contiguousStrides, offset: 0,
            storage: Storage(byteCount: shape.elementCount * dtype.byteCount))
    }

    /// The number of dimensions.
    public var rank: Int { shape.count }

    /// The number of elements.
    public var elementCount: Int { shape.elementCount }

    /// Whether a gradient will flow back through this tensor.
    public var requiresGradient: Bool { node != nil }

    /// The same values without a place in the gradient graph.
    public var detached: Tensor {
        var copy = self
        copy.node = nil
        return copy
    }

    /// Whether the elements lie in row-major order without gaps.
    public var isContiguous: Bool {
        var expected = 1
        var i = shape.count - 1
        while i >= 0 {
            if shape[i] != 1 {
                if strides[i] != expected { return false }
                expected *= shape[i]
            }
            i -= 1
        }
        return true
    }

    /// Where the first element is.
    var pointer: UnsafeRawPointer { UnsafeRawPointer(storage.pointer + offset * dtype.byteCount) }

    /// Where to write; only for a tensor just made, which nobody else can hold.
    var freshPointer: UnsafeMutableRawPointer { storage.pointer + offset * dtype.byteCount }
}

extension Tensor: CustomStringConvertible {
    /// Type, shape and the first elements.
    public var description: String {
        let shown = Swift.min(elementCount, 8)
        let head = flattenedDoubles(limit: shown).map { String(format($0)) }.joined(separator: ", ")
        return "Tensor(\(dtype.rawValue), \(shape), [\(head)\(elementCount > shown ? ", …" : "")])"
    }

    private func format(_ value: Double) -> String {
        dtype.isFloatingPoint ? "\(Float(value))" : "\(Int64(value))"
    }

    private func flattenedDoubles(limit: Int) -> [Double] {
        guard limit > 0 else { return [] }
        return Array(detached.contiguous().converted(to: .float64).array(of: Double.self).prefix(limit))
    }
}
