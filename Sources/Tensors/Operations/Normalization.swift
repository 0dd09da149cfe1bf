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
        require(rank >= 1 && dtype.isFloatingPoint, "layerNorm", "\(dtype) \(shape)")
        let columns = shape[-1]
        for (name, tensor) in [("weight", weight), ("bias", bias)] {
            guard let tensor else { continue }
            require(
                tensor.shape == [columns] && tensor.dtype == dtype, "layerNorm",
                "\(name) \(tensor.dtype) \(tensor.shape) for \(dtype) \(shape)")
        }
        require(bias == nil || weight != nil, "layerNorm", "a bias without a weight")
        if dtype == .bfloat16 {
            return inFloat32 { $0.layerNorm(weight: weight?.widened(), bias: bias?.widened(), epsilon: epsilon) }
        }
        let x = detached.contiguous(), w = weight?.detached.contiguous(), b = bias?.detached.contiguous()
        let rows = columns == 0 ? 0 : elementCount / columns
        let y = Tensor(uninitialized: shape, dtype: dtype)
        let mean = Tensor(uninitialized: [rows], dtype: dtype), scale = Tensor(uninitialized: [rows], dtype: dtype)
        let size = dtype.byteCount
        x.inRows(of: columns) { count, start in
            let row = start / columns
            ck_layer_norm(
                dtype.kernelType, count, Int64(columns), epsilon, x.pointer + start, w?.pointer, b?.pointer,
                y.freshPointer + start, mean.freshPointer + row, scale.freshPointer + row)
        }
        let inputs = [self, weight, bias].compactMap { $0 }
        let places = inputs.dropFirst().map { GradientPlace(of: $0) }
        return y.recorded("layerNorm", inputs) { gradient in
            let g = gradient.contiguous()
            let gx = Tensor(uninitialized: x.shape, dtype: x.dtype)
            // Each block of rows has its own sums for weight and bias; the blocks are added in order.
            let blockRows = Swift.max(1, elementwiseGrain / 4 / Swift.max(columns, 1))
            let blocks = Swift.max(1, (rows + blockRows - 1) / blockRows)
            let gw = w.map { _ in Tensor.zeros([blocks, columns], dtype: x.dtype) }
            let gb = b.map { _ in Tensor.zeros([blocks, columns], dtype: x.dtype) }
            x.inRows(of: columns) { count, start in
                let row = start / columns
                let block = row / size / blockRows * columns * size
                ck_layer_norm_gradient(
                    x.dtype.kernelType, count, Int64(columns), x.pointer + start, w?.pointer, mean.pointer + row,
                    scale.pointer + row, g.pointer + start, gx.freshPointer + start,
                    gw.map { $0.freshPointer + block }, gb.map { $0.freshPointer + block })
            }
            return [gx] + zip(places, [gw, gb].compactMap { $0 }).map { $0.columnSums($1) }
        }
    }
}
