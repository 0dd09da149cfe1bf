import CKernels

extension Tensor {
    /// Batch normalisation over all dimensions but the second: `[batch, channels, …]`.
    ///
    /// Ioffe, Szegedy, "Batch Normalization", 2015. The result lies in memory with its channels innermost
    /// (Note [Channels last]). The backward pass needs this tensor, not the result, also when that is rectified: an
    /// operation that reads the result can have it made again (Note [Results made again]).
    /// - Parameters:
    ///   - weight: `[channels]`, or nil for 1.
    ///   - bias: `[channels]`, or nil for 0.
    ///   - moments: The mean and biased variance to use, `[channels]` each, without gradient; nil takes those of
    ///     this batch, through which the gradient flows.
    ///   - epsilon: Keeps the root away from 0.
    ///   - isRectified: Whether a ReLU follows.
    /// - Returns: The result, with the mean and biased variance used.
    public func batchNorm(
        weight: Tensor?, bias: Tensor?, moments: (mean: Tensor, variance: Tensor)? = nil, epsilon: Double = 1e-5,
        isRectified: Bool = false
    ) -> (result: Tensor, mean: Tensor, variance: Tensor) {
        require(rank >= 2 && dtype.isFloatingPoint, "batchNorm", "\(dtype) \(shape): needs [batch, channels, …]")
        let channels = shape[1]
        for (name, tensor) in [
            ("weight", weight), ("bias", bias), ("mean", moments?.mean), ("variance", moments?.variance),
        ] {
            guard let tensor else { continue }
            require(
                tensor.shape == [channels] && tensor.dtype == dtype, "batchNorm",
                "\(name) \(tensor.dtype) \(tensor.shape) for \(dtype) \(shape)")
        }
        if dtype == .bfloat16 {
            let wide = widened().batchNorm(
                weight: weight?.widened(), bias: bias?.widened(),
                moments: moments.map { ($0.mean.widened(), $0.variance.widened()) }, epsilon: epsilon,
                isRectified: isRectified)
            return (
                wide.result.converted(to: dtype), wide.mean.converted(to: dtype), wide.variance.converted(to: dtype)
            )
        }
        let x = detached.channelsLast()
        let rows = ChannelRows(x)
        require(
            moments != nil || rows.count > 1, "batchNorm",
            "a batch of one value per channel has no variance: \(shape)")
        let usesBatch = moments == nil
        let (mean, variance) = moments.map { ($0.mean.doubles, $0.variance.doubles) } ?? rows.moments()
        let inverse = variance.map { 1 / ($0 + epsilon).squareRoot() }
        let scale = weight.map { zip($0.doubles, inverse).map { $0 * $1 } } ?? inverse
        let shift = bias?.doubles ?? Array(repeating: 0, count: channels)
        let map = ChannelMap(mean: mean, scale: scale, shift: shift, isRectified: isRectified)
        let places = [weight, bias].map { $0.map(GradientPlace.init(of:)) }
        let result = rows.mapped(map).recorded("batchNorm", [self, weight, bias].compactMap { $0 }) { gradient in
            let g = gradient.channelsLast()
            let (sums, products) = rows.gradientSums(g, through: map)
            // d result / d x, with the parts through mean and variance when they are the batch's own.
            let share = usesBatch ? 1 / Double(rows.count) : 0
            let gx = rows.gradient(
                g, through: map,
                slope: channels.map { -scale[$0] * inverse[$0] * inverse[$0] * products[$0] * share },
                offset: channels.map { -scale[$0] * sums[$0] * share })
            let gradients = zip(places, [zip(products, inverse).map { $0 * $1 }, sums])
            return [gx] + gradients.compactMap { place, values in place?.make(values, x.dtype) }
        }
        result.node?.rebuild = { rows.mapped(map) }
        return (result, Tensor(mean).converted(to: dtype), Tensor(variance).converted(to: dtype))
    }
}

extension GradientPlace {
    /// A gradient of one number per channel.
    fileprivate func make(_ values: [Double], _ dtype: DType) -> Tensor {
        make([values.count], dtype, canAdd: false) { target, _ in
            let source = Tensor(values).converted(to: dtype)
            target.freshPointer.copyMemory(from: source.pointer, byteCount: values.count * dtype.byteCount)
        }
    }
}

extension Int {
    fileprivate func map(_ body: (Int) -> Double) -> [Double] { (0..<self).map(body) }
}

/// y = (x − mean) · scale + shift, one of each per channel; rectified, the larger of that and 0.
private struct ChannelMap {
    let mean, scale, shift: [Double]
    let isRectified: Bool

    var rectifies: Int32 { isRectified ? 1 : 0 }
}

/// A channels-last tensor as rows of channels, and what batch normalisation does with them: block by block of rows on
/// all threads, the blocks' sums combined in order.
private struct ChannelRows {
    let x: Tensor
    let channels: Int
    let count: Int
    /// Rows whose sums are kept in the element type.
    private let blockRows = 128

    init(_ x: Tensor) {
        self.x = x
        channels = x.shape[1]
        count = channels == 0 ? 0 : x.elementCount / channels
    }

    private var blocks: Int { (count + blockRows - 1) / blockRows }
    private var type: ck_dtype { x.dtype.kernelType }

    /// Calls `body(block, rows, bytes)` with each block's number, extent and place.
    private func forEachBlock(_ body: (Int, Int64, Int) -> Void) {
        Parallel.forRanges(count, grain: blockRows) { rows in
            body(rows.lowerBound / blockRows, Int64(rows.count), rows.lowerBound * channels * x.dtype.byteCount)
        }
    }

    /// Mean and biased variance of each channel.
    ///
    /// Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    func moments() -> (mean: [Double], variance: [Double]) {
        let table = BlockTable(blocks: blocks, channels: channels)
        forEachBlock { block, rows, place in
            ck_channel_moments(
                type, rows, Int64(channels), x.pointer + place, table.first(block), table.second(block))
        }
        var mean = [Double](repeating: 0, count: channels), squares = mean
        for block in 0..<blocks {
            let seen = Double(block * blockRows), fresh = Double(Swift.min(blockRows, count - block * blockRows))
            let weight = fresh / (seen + fresh)
            for c in 0..<channels {
                let distance = table.first(block)[c] - mean[c]
                mean[c] += distance * weight
                squares[c] += table.second(block)[c] + distance * distance * seen * weight
            }
        }
        return (mean, squares.map { $0 / Double(count) })
    }

    /// What the map makes of x.
    func mapped(_ map: ChannelMap) -> Tensor {
        let y = Tensor(uninitializedLike: x)
        forEachBlock { _, rows, place in
            ck_channel_affine(
                type, rows, Int64(channels), x.pointer + place, map.mean, map.scale, map.shift, map.rectifies,
                y.freshPointer + place)
        }
        return y
    }

    /// Sums of g and of g · (x − mean) over each channel, for the gradient g of the map's result before it is rectified.
    func gradientSums(_ g: Tensor, through map: ChannelMap) -> (sums: [Double], products: [Double]) {
        let table = BlockTable(blocks: blocks, channels: channels)
        forEachBlock { block, rows, place in
            ck_channel_gradient_sums(
                type, rows, Int64(channels), x.pointer + place, map.mean, map.scale, map.shift, map.rectifies,
                g.pointer + place, table.first(block), table.second(block))
        }
        var sums = [Double](repeating: 0, count: channels), products = sums
        for block in 0..<blocks {
            for c in 0..<channels {
                sums[c] += table.first(block)[c]
                products[c] += table.second(block)[c]
            }
        }
        return (sums, products)
    }

    /// scale · g + slope · (x − mean) + offset, for such a g; written over the gradient where it is spare.
    func gradient(_ g: Tensor, through map: ChannelMap, slope: [Double], offset: [Double]) -> Tensor {
        let gx = g.spareOrFresh()
        forEachBlock { _, rows, place in
            ck_channel_gradient(
                type, rows, Int64(channels), x.pointer + place, map.mean, map.scale, map.shift, map.rectifies,
                g.pointer + place, slope, offset, gx.freshPointer + place)
        }
        return gx
    }
}

/// Two doubles per block and channel; a block's are written by the thread that has the block.
private struct BlockTable {
    private let memory: Tensor
    private let channels: Int

    init(blocks: Int, channels: Int) {
        memory = Tensor(uninitialized: [blocks, 2, channels], dtype: .float64)
        self.channels = channels
    }

    func first(_ block: Int) -> UnsafeMutablePointer<Double> { place(2 * block) }
    func second(_ block: Int) -> UnsafeMutablePointer<Double> { place(2 * block + 1) }

    private func place(_ row: Int) -> UnsafeMutablePointer<Double> {
        memory.freshPointer.assumingMemoryBound(to: Double.self) + row * channels
    }
}
