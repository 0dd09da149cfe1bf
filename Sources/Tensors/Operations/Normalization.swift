import CKernels

extension Tensor {
    /// Layer normalisation over the last dimension: (x − mean) / √(variance + epsilon) · weight + bias.
    ///
    /// Ba, Kiros, Hinton, "Layer Normalization", 2016.
    /// - Parameters:
    ///   - weight: `[columns]`, or nil for 1.
    ///   - bias: `[columns]`, or nil for 0; only together with a weight.
    ///   - epsilon: Keeps the root away from 0.
    public func layerNorm(weight: Tensor?, bias: Tensor?, epsilon: Double = 1e-5) -> Tensor {
        require(bias == nil || weight != nil, "layerNorm", "a bias without a weight")
        return rowNorm("layerNorm", weight: weight, bias: bias, epsilon: epsilon, isCentred: true)
    }

    /// Root mean square normalisation over the last dimension: x / √(mean of x² + epsilon) · weight.
    ///
    /// Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019.
    /// - Parameters:
    ///   - weight: `[columns]`, or nil for 1.
    ///   - epsilon: Keeps the root away from 0; nil for the smallest step from 1 of the element type, as in PyTorch.
    public func rmsNorm(weight: Tensor?, epsilon: Double? = nil) -> Tensor {
        let step =
            switch dtype {
            case .bfloat16: 1.0 / 128
            case .float32: Double(Float.ulpOfOne)
            default: Double.ulpOfOne
            }
        return rowNorm("rmsNorm", weight: weight, bias: nil, epsilon: epsilon ?? step, isCentred: false)
    }

    private func rowNorm(
        _ name: StaticString, weight: Tensor?, bias: Tensor?, epsilon: Double, isCentred: Bool
    ) -> Tensor {
        require(rank >= 1 && dtype.isFloatingPoint, name, "\(dtype) \(shape)")
        let columns = shape[-1]
        for (part, tensor) in [("weight", weight), ("bias", bias)] {
            guard let tensor else { continue }
            require(
                tensor.shape == [columns] && tensor.dtype == dtype, name,
                "\(part) \(tensor.dtype) \(tensor.shape) for \(dtype) \(shape)")
        }
        if dtype == .bfloat16 {
            return inFloat32 {
                $0.rowNorm(
                    name, weight: weight?.widened(), bias: bias?.widened(), epsilon: epsilon, isCentred: isCentred)
            }
        }
        let x = detached.contiguous(), w = weight?.detached.contiguous(), b = bias?.detached.contiguous()
        let rows = columns == 0 ? 0 : elementCount / columns
        let mean = isCentred ? Tensor(uninitialized: [rows], dtype: dtype) : nil
        let scale = Tensor(uninitialized: [rows], dtype: dtype)
        let size = dtype.byteCount
        let value = {
            let y = Tensor(uninitialized: x.shape, dtype: x.dtype)
            x.inRows(of: columns) { count, start in
                let row = start / columns
                ck_layer_norm(
                    x.dtype.kernelType, count, Int64(columns), epsilon, x.pointer + start, w?.pointer, b?.pointer,
                    y.freshPointer + start, mean.map { $0.freshPointer + row }, scale.freshPointer + row)
            }
            return y
        }
        let inputs = [self, weight, bias].compactMap { $0 }
        let places = inputs.dropFirst().map { GradientPlace(of: $0) }
        let result = value().recorded(name, inputs) { gradient in
            let g = gradient.contiguous()
            let gx = g.spareOrFresh()
            // Each block of rows has its own sums for weight and bias; the blocks are added in order.
            let blockRows = Swift.max(1, elementwiseGrain / 4 / Swift.max(columns, 1))
            let blocks = Swift.max(1, (rows + blockRows - 1) / blockRows)
            let gw = w.map { _ in Tensor.zeros([blocks, columns], dtype: x.dtype) }
            let gb = b.map { _ in Tensor.zeros([blocks, columns], dtype: x.dtype) }
            x.inRows(of: columns) { count, start in
                let row = start / columns
                let block = row / size / blockRows * columns * size
                ck_layer_norm_gradient(
                    x.dtype.kernelType, count, Int64(columns), x.pointer + start, w?.pointer,
                    mean.map { $0.pointer + row }, scale.pointer + row, g.pointer + start, gx.freshPointer + start,
                    gw.map { $0.freshPointer + block }, gb.map { $0.freshPointer + block })
            }
            return [gx] + zip(places, [gw, gb].compactMap { $0 }).map { $0.columnSums($1) }
        }
        result.node?.rebuild = value
        return result
    }
}
