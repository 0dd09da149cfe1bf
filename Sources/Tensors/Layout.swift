// How the elements of a tensor lie in memory.
//
// Note [Channels last]: image tensors have the shape [batch, channels, height, width], as in PyTorch, but convolutions,
// pooling and batch normalisation make them with the channels innermost in memory: a pixel is then one run, a window a
// few runs, and a channel's vector needs no gathering. What comes row-major is copied at the door of the first such
// operation. Elementwise operations keep the layout they find, so between two convolutions nothing is copied.

extension Tensor {
    /// A tensor of this shape and type whose elements will lie in memory like `other`'s.
    init(uninitializedLike other: Tensor) {
        self.init(
            dtype: other.dtype, shape: other.shape, strides: other.strides, offset: 0,
            storage: Storage(byteCount: other.elementCount * other.dtype.byteCount))
    }

    /// Memory for `[batch, channels, …]` with the channels innermost.
    init(uninitializedChannelsLast shape: Shape, dtype: DType) {
        self = Tensor(uninitialized: shape.channelsLast, dtype: dtype).channelsSecond
    }

    /// Whether the elements fill one run of memory, in whatever order of dimensions.
    var isDense: Bool { isContiguous || permutedView(memoryOrder).isContiguous }

    /// The dimensions from the outermost in memory to the innermost.
    private var memoryOrder: Shape {
        var order = Shape(0..<rank)
        for i in 0..<rank {
            var place = i
            while place > 0, strides[order[place - 1]] < strides[i] {
                order[place] = order[place - 1]
                place -= 1
            }
            order[place] = i
        }
        return order
    }

    /// This tensor when it is dense, else a row-major copy.
    func dense() -> Tensor { isDense ? self : contiguous() }

    /// The same elements, lying in memory like those of `other`, which is dense and has this shape.
    func laidOut(like other: Tensor) -> Tensor {
        if strides == other.strides { return self }
        let order = other.memoryOrder
        let lined = permutedView(order)
        if lined.isContiguous { return self }
        return lined.contiguous().permutedView(inverse(order))
    }

    /// Dimensions that make a result lie like this tensor when it is computed on operands so permuted, or nil when it
    /// is row-major (or not dense) anyway.
    var preferredOrder: Shape? {
        if isContiguous { return nil }
        let order = memoryOrder
        return permutedView(order).isContiguous ? order : nil
    }

    /// The dimensions in another order, outside the gradient graph.
    func permutedView(_ order: Shape) -> Tensor {
        var view = detached
        for (i, d) in order.enumerated() {
            view.shape[i] = shape[d]
            view.strides[i] = strides[d]
        }
        return view
    }

    /// The dimensions back in their places after `permutedView(order)`.
    func unpermutedView(_ order: Shape) -> Tensor { permutedView(inverse(order)) }

    private func inverse(_ order: Shape) -> Shape {
        var inverse = order
        for (i, d) in order.enumerated() { inverse[d] = i }
        return inverse
    }
}

// MARK: - Channels last

extension Tensor {
    /// `[batch, channels, …]` with its channels innermost in memory; outside the gradient graph.
    func channelsLast() -> Tensor { channelsInnermost.contiguous().channelsSecond }

    /// A view of `[batch, channels, …]` as `[batch, …, channels]`.
    private var channelsInnermost: Tensor { permutedView(Shape([0] + Array(2..<rank) + [1])) }

    /// A view of `[batch, …, channels]` as `[batch, channels, …]`.
    private var channelsSecond: Tensor { permutedView(Shape([0, rank - 1] + Array(1..<(rank - 1)))) }
}

extension Shape {
    /// `[batch, channels, …]` as `[batch, …, channels]`.
    fileprivate var channelsLast: Shape {
        var result = self
        let channels = result.remove(at: 1)
        result.append(channels)
        return result
    }
}
