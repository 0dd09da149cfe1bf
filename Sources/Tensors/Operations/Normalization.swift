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
            return [gx] + [gw, gb].compactMap { $0?.sum(along: 0) }
        }
    }

    /// Batch normalisation over all dimensions but the second: `[batch, channels, …]`.
    ///
    /// Ioffe, Szegedy, "Batch Normalization", 2015.
    /// - Parameters:
    ///   - weight: `[channels]`, or nil for 1.
    ///   - bias: `[channels]`, or nil for 0.
    ///   - moments: Mean and biased variance to use, `[channels]` each: the running ones in evaluation. Nil: those of
    ///     this batch, through which the gradient flows.
    ///   - epsilon: Keeps the root away from 0.
    /// - Returns: The result, with the mean and biased variance used.
    public func batchNorm(
        weight: Tensor?, bias: Tensor?, moments: (mean: Tensor, variance: Tensor)? = nil, epsilon: Double = 1e-5
    ) -> (result: Tensor, mean: Tensor, variance: Tensor) {
        require(rank >= 2 && dtype.isFloatingPoint, "batchNorm", "\(dtype) \(shape): needs [batch, channels, …]")
        let batch = shape[0], channels = shape[1]
        let inner = (2..<Swift.max(rank, 2)).reduce(1) { $0 * shape[$1] }
        for (name, tensor) in [
            ("weight", weight), ("bias", bias), ("mean", moments?.mean), ("variance", moments?.variance),
        ] {
            guard let tensor else { continue }
            require(
                tensor.shape == [channels] && tensor.dtype == dtype, "batchNorm",
                "\(name) \(tensor.dtype) \(tensor.shape) for \(dtype) \(shape)")
        }
        let count = batch * inner
        require(
            moments != nil || count > 1, "batchNorm", "a batch of one value per channel has no variance: \(shape)")
        if dtype == .bfloat16 {
            let wide = widened().batchNorm(
                weight: weight?.widened(), bias: bias?.widened(),
                moments: moments.map { ($0.mean.widened(), $0.variance.widened()) }, epsilon: epsilon)
            return (
                wide.result.converted(to: dtype), wide.mean.converted(to: dtype), wide.variance.converted(to: dtype)
            )
        }
        let x = detached.contiguous()
        let usesBatch = moments == nil
        var means = moments?.mean.doubles ?? Array(repeating: 0, count: channels)
        var variances = moments?.variance.doubles ?? Array(repeating: 0, count: channels)
        let type = dtype.kernelType
        let (b, c, n) = (Int64(batch), Int64(channels), Int64(inner))
        if usesBatch {
            means.withUnsafeMutableBufferPointer { means in
                variances.withUnsafeMutableBufferPointer { variances in
                    let channelMeans = ChannelSlots(means), channelVariances = ChannelSlots(variances)
                    Parallel.forEach(channels) { channel in
                        ck_channel_moments(
                            type, b, c, n, Int64(channel), x.pointer, channelMeans[channel], channelVariances[channel])
                    }
                }
            }
        }
        let (finalMeans, inverse) = (means, variances.map { 1 / ($0 + epsilon).squareRoot() })
        let weights = weight?.doubles ?? Array(repeating: 1, count: channels)
        let biases = bias?.doubles ?? Array(repeating: 0, count: channels)
        let y = Tensor(uninitialized: shape, dtype: dtype)
        Parallel.forEach(channels) { channel in
            ck_channel_affine(
                type, b, c, n, Int64(channel), x.pointer, finalMeans[channel], inverse[channel] * weights[channel],
                biases[channel], y.freshPointer)
        }
        let inputs = [self, weight, bias].compactMap { $0 }
        let (hasWeight, hasBias) = (weight != nil, bias != nil)
        let result = y.recorded("batchNorm", inputs) { gradient in
            let g = gradient.contiguous()
            let gx = Tensor(uninitialized: x.shape, dtype: x.dtype)
            var sums = [Double](repeating: 0, count: channels), products = sums
            sums.withUnsafeMutableBufferPointer { sums in
                products.withUnsafeMutableBufferPointer { products in
                    let channelSums = ChannelSlots(sums), channelProducts = ChannelSlots(products)
                    Parallel.forEach(channels) { channel in
                        ck_channel_gradient_sums(
                            type, b, c, n, Int64(channel), x.pointer, finalMeans[channel], g.pointer,
                            channelSums[channel], channelProducts[channel])
                        let s = inverse[channel], scale = s * weights[channel]
                        let sum = channelSums[channel].pointee, product = channelProducts[channel].pointee
                        ck_channel_gradient(
                            type, b, c, n, Int64(channel), x.pointer, finalMeans[channel], g.pointer, scale,
                            usesBatch ? -scale * s * s * product / Double(count) : 0,
                            usesBatch ? -scale * sum / Double(count) : 0, gx.freshPointer)
                    }
                }
            }
            let gw = Tensor(zip(products, inverse).map { $0 * $1 }).converted(to: x.dtype)
            let gb = Tensor(sums).converted(to: x.dtype)
            return [gx] + (hasWeight ? [gw] : []) + (hasBias ? [gb] : [])
        }
        return (result, Tensor(means).converted(to: dtype), Tensor(variances).converted(to: dtype))
    }
}

/// One double per channel, each written by the thread that has the channel.
///
/// Sendable: no two channels share a slot.
private struct ChannelSlots: @unchecked Sendable {
    private let base: UnsafeMutablePointer<Double>?
    init(_ buffer: UnsafeMutableBufferPointer<Double>) { base = buffer.baseAddress }
    subscript(channel: Int) -> UnsafeMutablePointer<Double> {
        guard let base else { fail("batchNorm", "no channels") }
        return base + channel
    }
}
