import CKernels

extension Tensor {
    /// The affine map of a linear layer, in one operation: `x · weightᵀ + bias`, and max(0, ·) of it if asked for.
    ///
    /// Rectified, the result is written once: a product's sums become the activation on their way from the registers to
    /// memory. The backward pass sums the bias's gradient as it masks the gradient.
    /// - Parameters:
    ///   - weight: `[outputs, inputs]`, as PyTorch stores it.
    ///   - bias: `[outputs]`, or nil.
    ///   - isRectified: Whether a ReLU follows.
    /// - Returns: `[…, outputs]` for this tensor of shape `[…, inputs]`.
    public func linear(weight: Tensor, bias: Tensor?, isRectified: Bool = false) -> Tensor {
        require(
            dtype == weight.dtype, "linear",
            "\(dtype) \(shape) with weight \(weight.dtype) \(weight.shape); convert the input: converted(to: .\(weight.dtype))"
        )
        require(
            weight.rank == 2 && rank >= 1 && shape[-1] == weight.shape[1] && dtype.isFloatingPoint, "linear",
            "\(dtype) \(shape) with weight \(weight.dtype) \(weight.shape)")
        if let bias {
            require(
                bias.shape == [weight.shape[0]] && bias.dtype == dtype, "linear",
                "bias \(bias.dtype) \(bias.shape) with weight \(weight.shape)")
        }
        let inputs = weight.shape[1], outputs = weight.shape[0]
        let rows = shape.dropLast().reduce(1, *)
        OperationCount.add(2 * rows * inputs * outputs)
        let x = detached.reshaped(to: [rows, inputs]), w = weight.detached
        let y = Tensor(uninitialized: [rows, outputs], dtype: dtype)
        let biasRow = bias?.detached.contiguous()
        let a = x.matrixOperand(), b = w.transposed().matrixOperand()
        MatrixProduct.multiply(
            dtype, ProductPrecision.current, rows: rows, columns: outputs, inner: inputs,
            MatrixOperand(pointer: a.tensor.pointer, leadingDimension: a.leadingDimension, isTransposed: a.transposed),
            MatrixOperand(pointer: b.tensor.pointer, leadingDimension: b.leadingDimension, isTransposed: b.transposed),
            bias: biasRow?.pointer, isRectified: isRectified, into: y.freshPointer, leadingDimension: outputs)
        withExtendedLifetime(biasRow) {}
        var resultShape = shape
        resultShape[-1] = outputs
        let inputShape = shape, input = kept()
        let (needsX, needsW, needsB) = (requiresGradient, weight.requiresGradient, bias?.requiresGradient ?? false)
        let (weightPlace, biasPlace) = (GradientPlace(of: weight), bias.map { GradientPlace(of: $0) })
        let result = y.reshaped(to: resultShape)
        // Without a ReLU nobody needs the result again.
        let mask = isRectified ? y : nil
        let pullback: GradientNode.Pullback = { gradient in
            var g = gradient.reshaped(to: [rows, outputs])
            var gb: Tensor?
            if let mask {
                (g, gb) = g.masked(by: mask, columnSums: needsB ? biasPlace : nil)
            } else if needsB {
                gb = biasPlace?.columnSums(g)
            }
            let gw = needsW ? weightPlace.product(g.transposed(), input().reshaped(to: [rows, inputs])) : nil
            let gx = needsX ? Tensor.product(g, w).reshaped(to: inputShape) : nil
            return biasPlace == nil ? [gx, gw] : [gx, gw, gb]
        }
        if let bias { return result.recorded("linear", self, weight, bias, pullback: pullback) }
        return result.recorded("linear", self, weight, pullback: pullback)
    }

    /// The gradient before a ReLU with the result `y`: this gradient where that is positive, else 0; and its column sums.
    ///
    /// Blocks of rows, each summed in order, the blocks added in order: the same on any number of threads.
    private func masked(by y: Tensor, columnSums place: GradientPlace?) -> (gradient: Tensor, sums: Tensor?) {
        let (rows, columns) = (shape[0], shape[1])
        guard let place, dtype != .bfloat16, rows > 0, columns > 0 else {
            let result = maskedInPieces(by: y)
            return (result, place.map { $0.columnSums(result) })
        }
        let g = contiguous(), result = g.spareOrFresh()
        let blockRows = Swift.max(16, elementwiseGrain / columns)
        let blocks = (rows + blockRows - 1) / blockRows
        let partial = Tensor(uninitialized: [blocks, columns], dtype: dtype)
        let size = dtype.byteCount
        Parallel.forRanges(rows, grain: blockRows) { range in
            let start = range.lowerBound * columns * size
            ck_relu_gradient_sums(
                dtype.kernelType, Int64(range.count), Int64(columns), y.pointer + start, g.pointer + start,
                result.freshPointer + start, partial.freshPointer + range.lowerBound / blockRows * columns * size)
        }
        return (result, place.columnSums(partial))
    }

    private func maskedInPieces(by y: Tensor) -> Tensor {
        let g = contiguous(), result = g.spareOrFresh()
        g.inPieces { start, count, bytes in
            ck_unary_gradient(
                CK_RELU, dtype.kernelType, count, y.pointer + bytes * start, y.pointer + bytes * start,
                g.pointer + bytes * start, result.freshPointer + bytes * start)
        }
        return result
    }
}
