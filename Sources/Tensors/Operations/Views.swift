// Views: new shapes on the same memory. Their pullbacks are the inverse views.

extension Tensor {
    /// The same elements in row-major order; the tensor itself when they lie so already.
    public func contiguous() -> Tensor {
        if isContiguous { return self }
        return copied().recorded("contiguous", self) { [$0] }
    }

    /// The same elements, in row-major order, in another shape.
    ///
    /// One extent may be −1: it is worked out.
    ///
    /// Copies only when the elements do not lie in row-major order.
    /// - Precondition: both shapes have the same number of elements.
    public func reshaped(to newShape: Shape) -> Tensor {
        var target = newShape
        if let unknown = target.firstIndex(of: -1) {
            target[unknown] = 1
            let known = target.elementCount
            require(
                known > 0 && elementCount % known == 0, "reshaped", "shape \(shape) cannot become \(newShape)")
            target[unknown] = elementCount / known
        }
        require(target.elementCount == elementCount, "reshaped", "shape \(shape) cannot become \(newShape)")
        if target == shape { return self }
        let source = contiguous()
        let original = shape
        let view = Tensor(
            dtype: dtype, shape: target, strides: target.contiguousStrides, offset: source.offset,
            storage: source.storage)
        guard source.node != nil else { return view }
        return view.recorded("reshaped", source) { [$0.reshaped(to: original)] }
    }

    /// Dimensions `first` … `last` merged into one; by default all but the first, as before a linear layer.
    public func flattened(from first: Int = 1, through last: Int = -1) -> Tensor {
        let a = shape.normalized(first, "flattened"), b = shape.normalized(last, "flattened")
        require(a <= b, "flattened", "dimensions \(first) through \(last) of shape \(shape)")
        var target: Shape = []
        for i in 0..<a { target.append(shape[i]) }
        target.append((a...b).reduce(1) { $0 * shape[$1] })
        for i in (b + 1)..<Swift.max(rank, b + 1) { target.append(shape[i]) }
        return reshaped(to: target)
    }

    /// Two dimensions swapped.
    public func transposed(_ first: Int = -2, _ second: Int = -1) -> Tensor {
        let a = shape.normalized(first, "transposed"), b = shape.normalized(second, "transposed")
        var view = detached
        view.shape[a] = shape[b]
        view.shape[b] = shape[a]
        view.strides[a] = strides[b]
        view.strides[b] = strides[a]
        guard node != nil else { return view }
        return view.recorded("transposed", self) { [$0.transposed(a, b)] }
    }

    /// The dimensions in another order: result dimension `i` is this tensor's dimension `order[i]`.
    public func permuted(_ order: [Int]) -> Tensor {
        let order = order.map { shape.normalized($0, "permuted") }
        require(
            Set(order).count == rank && order.count == rank, "permuted", "order \(order) for shape \(shape)")
        var view = detached
        var inverse = order
        for (i, d) in order.enumerated() {
            view.shape[i] = shape[d]
            view.strides[i] = strides[d]
            inverse[d] = i
        }
        let back = inverse
        return view.recorded("permuted", self) { [$0.permuted(back)] }
    }

    /// A new dimension of extent 1.
    public func expandingDimension(at dimension: Int) -> Tensor {
        let d = dimension < 0 ? dimension + rank + 1 : dimension
        require(d >= 0 && d <= rank, "expandingDimension", "position \(dimension) in shape \(shape)")
        var view = detached
        view.shape.insert(1, at: d)
        view.strides.insert(d < rank ? shape[d] * strides[d] : 1, at: d)
        return view.recorded("expandingDimension", self) { [$0.squeezed(d)] }
    }

    /// Without a dimension of extent 1.
    public func squeezed(_ dimension: Int) -> Tensor {
        let d = shape.normalized(dimension, "squeezed")
        require(shape[d] == 1, "squeezed", "dimension \(dimension) of shape \(shape) is not 1")
        var view = detached
        view.shape.remove(at: d)
        view.strides.remove(at: d)
        return view.recorded("squeezed", self) { [$0.expandingDimension(at: d)] }
    }

    /// Repeated along dimensions of extent 1, without moving data (NumPy's broadcasting).
    public func expanded(to target: Shape) -> Tensor {
        if target == shape { return self }
        guard let common = Shape.broadcast(shape, target), common == target else {
            fail("expanded", "shape \(shape) cannot be expanded to \(target)")
        }
        return expandedView(to: target).recorded("expanded", self) { [$0] }  // the engine sums
    }

    /// The view alone, of a target known to fit.
    func expandedView(to target: Shape) -> Tensor {
        var view = detached
        let extra = target.count - rank
        view.shape = target
        view.strides = target
        for i in 0..<target.count {
            view.strides[i] = i < extra || (shape[i - extra] == 1 && target[i] != 1) ? 0 : strides[i - extra]
        }
        return view
    }

    /// The part of one dimension in a range.
    ///
    /// - Precondition: the range lies within the extent.
    public func slice(_ range: Range<Int>, along dimension: Int = 0) -> Tensor {
        let d = shape.normalized(dimension, "slice")
        require(
            range.lowerBound >= 0 && range.upperBound <= shape[d], "slice",
            "range \(range) of dimension \(dimension) of shape \(shape)")
        var view = detached
        view.offset += range.lowerBound * strides[d]
        view.shape[d] = range.count
        let full = shape
        let type = dtype
        return view.recorded("slice", self) { gradient in
            var padded = Tensor.zeros(full, dtype: type)
            padded.write(gradient, into: range, along: d)
            return [padded]
        }
    }

    /// One index of a dimension, which disappears.
    public func select(_ index: Int, along dimension: Int = 0) -> Tensor {
        let d = shape.normalized(dimension, "select")
        let i = index < 0 ? index + shape[d] : index
        return slice(i..<(i + 1), along: d).squeezed(d)
    }

    /// The tensor along the first dimension.
    public subscript(index: Int) -> Tensor { select(index) }

    /// A range of the first dimension.
    public subscript(range: Range<Int>) -> Tensor { slice(range) }

    /// Cuts a dimension into parts of the given extents.
    public func split(_ extents: [Int], along dimension: Int = 0) -> [Tensor] {
        let d = shape.normalized(dimension, "split")
        require(
            extents.reduce(0, +) == shape[d], "split", "extents \(extents) of dimension \(dimension) of shape \(shape)")
        var start = 0
        return extents.map { extent in
            defer { start += extent }
            return slice(start..<(start + extent), along: d)
        }
    }

    /// Overwrites a range of the first dimension of this tensor.
    ///
    /// - Precondition: the shapes fit, the types agree, and the tensor has no place in the gradient graph.
    public mutating func replace(_ range: Range<Int>, with source: Tensor) {
        var wanted = shape
        wanted[0] = range.count
        require(
            source.shape == wanted && source.dtype == dtype && range.upperBound <= shape[0], "replace",
            "\(source.dtype) \(source.shape) into \(range) of \(dtype) \(shape)")
        write(source, into: range, along: 0)
    }

    /// Copies `source` into a range of one dimension.
    mutating func write(_ source: Tensor, into range: Range<Int>, along dimension: Int) {
        makeWritable("write")
        let outer = (0..<dimension).reduce(1) { $0 * shape[$1] }
        let inner = (dimension + 1..<Swift.max(rank, dimension + 1)).reduce(1) { $0 * shape[$1] } * dtype.byteCount
        let dense = source.detached.contiguous()
        for o in 0..<outer {
            let to = freshPointer + (o * shape[dimension] + range.lowerBound) * inner
            to.copyMemory(from: dense.pointer + o * range.count * inner, byteCount: range.count * inner)
        }
    }

    /// Tensors joined along an existing dimension.
    ///
    /// - Precondition: there is at least one, and they agree in type and in all other dimensions.
    public static func concatenate(_ tensors: [Tensor], along dimension: Int = 0) -> Tensor {
        guard let first = tensors.first else { fail("concatenate", "no tensors were given") }
        let d = first.shape.normalized(dimension, "concatenate")
        var shape = first.shape
        shape[d] = 0
        for tensor in tensors {
            var other = tensor.shape
            require(other.count == shape.count, "concatenate", "shapes \(first.shape) and \(tensor.shape)")
            shape[d] += other[d]
            other[d] = first.shape[d]
            require(
                other == first.shape && tensor.dtype == first.dtype, "concatenate",
                "\(first.dtype) \(first.shape) and \(tensor.dtype) \(tensor.shape) along dimension \(dimension)")
        }
        var result = Tensor(uninitialized: shape, dtype: first.dtype)
        var start = 0
        for tensor in tensors {
            result.write(tensor, into: start..<(start + tensor.shape[d]), along: d)
            start += tensor.shape[d]
        }
        let extents = tensors.map { $0.shape[d] }
        return result.recorded("concatenate", tensors) { $0.split(extents, along: d) }
    }

    /// Tensors of one shape joined along a new dimension.
    public static func stack(_ tensors: [Tensor], along dimension: Int = 0) -> Tensor {
        concatenate(tensors.map { $0.expandingDimension(at: dimension) }, along: dimension)
    }
}
