/// Where a pullback makes the gradient of an input: in the gradient memory of the parameter, when the input is one.
///
/// Note [Gradients in place]: a parameter's gradient memory may be a slice of a bucket that is summed over ranks, and a
/// gradient made elsewhere has to be copied there. So an operation takes the places of its inputs when it is recorded,
/// and its pullback asks them for memory. For a parameter that is the memory where the gradient stays, which already
/// holds a gradient when the parameter was used before, in this pass or in an earlier one. For any other input it is a
/// new tensor. The pullback returns what it was given; the engine sees by the storage that there is nothing to copy.
/// An operation that knows nothing of places works as well, at the price of a copy
/// (``MemoryPool/Counts/gradientCopies``).
struct GradientPlace {
    private let leaf: GradientNode?

    /// The place for the gradient of an input.
    init(of input: Tensor) { leaf = input.node.flatMap { $0.isLeaf ? $0 : nil } }

    /// Makes a gradient.
    ///
    /// - Parameters:
    ///   - shape: The input's own shape.
    ///   - dtype: The input's own type. The gradients of bfloat16 parameters have another, so they are made elsewhere.
    ///   - canAdd: Whether `body` can add to what the memory holds.
    ///   - body: Writes the gradient, or adds it when so told.
    /// - Returns: What the pullback returns for this input.
    func make(
        _ shape: Shape, _ dtype: DType, canAdd: Bool = true, _ body: (_ target: Tensor, _ adds: Bool) -> Void
    ) -> Tensor {
        if let parameter = leaf?.parameter, parameter.gradientDType == dtype, canAdd || !parameter.hasGradient {
            let (target, adds) = parameter.openGradient()
            require(
                target.shape == shape && target.dtype == dtype, "GradientPlace",
                "\(dtype) \(shape) for a gradient \(target.dtype) \(target.shape)")
            body(target, adds)
            return target
        }
        let target = Tensor(uninitialized: shape, dtype: dtype)
        body(target, false)
        return target
    }

    /// The product of two matrices.
    func product(_ a: Tensor, _ b: Tensor) -> Tensor {
        let (rows, inner, columns) = (a.shape[0], a.shape[1], b.shape[1])
        let x = a.matrixOperand(), y = b.matrixOperand()
        return make([rows, columns], a.dtype) { target, adds in
            MatrixProduct.multiply(
                a.dtype, ProductPrecision.current, rows: rows, columns: columns, inner: inner,
                MatrixOperand(
                    pointer: x.tensor.pointer, leadingDimension: x.leadingDimension, isTransposed: x.transposed),
                MatrixOperand(
                    pointer: y.tensor.pointer, leadingDimension: y.leadingDimension, isTransposed: y.transposed),
                beta: adds ? 1 : 0, into: target.freshPointer, leadingDimension: Swift.max(1, columns))
        }
    }

    /// The sums of the columns of a matrix.
    func columnSums(_ matrix: Tensor) -> Tensor {
        if matrix.dtype == .bfloat16 { return matrix.sum(along: 0) }
        let dense = matrix.contiguous()
        let (rows, columns) = (matrix.shape[0], matrix.shape[1])
        return make([columns], matrix.dtype, canAdd: false) { target, _ in
            dense.sumColumns(rows: rows, columns: columns, into: target)
        }
    }
}
