import CKernels

/// The three products of a convolution.
///
/// A convolution is a product whose left operand, one row per output pixel, is gathered from the image while the
/// product runs, a panel of rows at a time; unfolded images are never in memory. The gradient of the input is the same
/// product over the gradient's image, once for each remainder of the stride; the gradient of the weight is the outer
/// product of panel and gradient.
struct ConvolutionPlan {
    let dtype: DType
    let batch: Int
    let groups: Int
    let outputs: Int
    /// The geometry over the whole image, all groups' channels.
    let window: ck_window
    /// A faster way to the same, where there is one.
    private let winograd: WinogradConvolution?

    init(dtype: DType, batch: Int, groups: Int, outputs: Int, window: ck_window) {
        self.dtype = dtype
        self.batch = batch
        self.groups = groups
        self.outputs = outputs
        self.window = window
        winograd = WinogradConvolution(
            dtype: dtype, batch: batch, groups: groups, channels: Int(window.channels), outputs: outputs,
            window: window)
    }

    private var kernel: (height: Int, width: Int) { (Int(window.kernel_height), Int(window.kernel_width)) }
    private var channels: Int { Int(window.channels) }
    /// Whether the input is read plane by plane, as it comes from a data set: with few channels, as in a first layer, a
    /// pixel's channels are too short a run to gather, but a line of the image is not.
    var readsPlanes: Bool {
        groups == 1 && channels <= 4 && channels * kernel.height * kernel.width <= Int(ck_panel_depth(dtype.kernelType))
    }

    private var groupChannels: Int { channels / groups }
    private var groupOutputs: Int { outputs / groups }
    private var outputShape: Shape { [batch, outputs, Int(window.out_height), Int(window.out_width)] }
    private var inputShape: Shape { [batch, channels, Int(window.height), Int(window.width)] }
    private var rows: Axis {
        Axis(
            size: Int(window.height), outSize: Int(window.out_height), kernel: kernel.height,
            stride: Int(window.stride_height), padding: Int(window.padding_height),
            dilation: Int(window.dilation_height))
    }
    private var columns: Axis {
        Axis(
            size: Int(window.width), outSize: Int(window.out_width), kernel: kernel.width,
            stride: Int(window.stride_width), padding: Int(window.padding_width), dilation: Int(window.dilation_width))
    }

    /// x · w + bias, for every output pixel.
    func forward(_ x: Tensor, _ w: Tensor, _ bias: Tensor?) -> Tensor {
        if let winograd { return winograd.forward(x, w, bias) }
        let y = Tensor(uninitializedChannelsLast: outputShape, dtype: dtype)
        let product = GatheredProduct(
            dtype: dtype, batch: batch, rows: rows.forward, columns: columns.forward,
            source: ImageMemory(x, channels: groupChannels, isPlanar: readsPlanes),
            target: ImageMemory(y, channels: groupOutputs))
        for group in 0..<groups {
            product.run(weights: forwardWeights(group), w, bias, group: group)
        }
        return y
    }

    /// What each input pixel contributed, from the gradients of the outputs that saw it.
    ///
    /// Input pixels of one remainder of the stride see the same taps: each remainder is a product of its own.
    func inputGradient(_ gy: Tensor, _ w: Tensor) -> Tensor {
        if let winograd { return winograd.inputGradient(gy, w) }
        let gx = Tensor(uninitializedChannelsLast: inputShape, dtype: dtype)
        let rowPasses = rows.backward, columnPasses = columns.backward
        // Pixels that no tap reaches belong to no pass.
        if rowPasses.contains(where: { $0.taps == 0 }) || columnPasses.contains(where: { $0.taps == 0 }) {
            ck_fill(dtype.kernelType, Int64(gx.elementCount), 0, gx.freshPointer)
        }
        for rows in rowPasses where rows.taps > 0 && rows.points > 0 {
            for columns in columnPasses where columns.taps > 0 && columns.points > 0 {
                let product = GatheredProduct(
                    dtype: dtype, batch: batch, rows: rows, columns: columns,
                    source: ImageMemory(gy, channels: groupOutputs), target: ImageMemory(gx, channels: groupChannels))
                for group in 0..<groups {
                    product.run(weights: backwardWeights(group, rows, columns), w, nil, group: group)
                }
            }
        }
        return gx
    }

    /// Σ over output pixels of window · gradient.
    func weightGradient(_ gy: Tensor, _ x: Tensor, into gw: Tensor) {
        if let winograd, winograd.paysForWeights { return winograd.weightGradient(gy, x, into: gw) }
        let product = GatheredOuterProduct(
            dtype: dtype, batch: batch, rows: rows.forward, columns: columns.forward,
            source: ImageMemory(x, channels: groupChannels, isPlanar: readsPlanes),
            gradient: ImageMemory(gy, channels: groupOutputs))
        for group in 0..<groups {
            product.run(weights: forwardWeights(group), into: gw, group: group)
        }
    }

    private func forwardWeights(_ group: Int) -> ck_weights {
        let taps = kernel.height * kernel.width
        return ck_weights(
            outputs: Int64(groupOutputs), tap_rows: Int64(kernel.height), tap_columns: Int64(kernel.width),
            channels: Int64(groupChannels), first: Int64(group * groupOutputs * groupChannels * taps),
            output_stride: Int64(groupChannels * taps), tap_row_stride: Int64(kernel.width), tap_column_stride: 1,
            channel_stride: Int64(taps))
    }

    /// The taps of one pass in the order of the outputs they lead to, from the last to the first.
    private func backwardWeights(_ group: Int, _ rows: GatherAxis, _ columns: GatherAxis) -> ck_weights {
        let taps = kernel.height * kernel.width
        let first = group * groupOutputs * groupChannels * taps + rows.lastTap * kernel.width + columns.lastTap
        return ck_weights(
            outputs: Int64(groupChannels), tap_rows: Int64(rows.taps), tap_columns: Int64(columns.taps),
            channels: Int64(groupOutputs), first: Int64(first), output_stride: Int64(taps),
            tap_row_stride: Int64(-rows.tapStep * kernel.width), tap_column_stride: Int64(-columns.tapStep),
            channel_stride: Int64(groupChannels * taps))
    }
}

/// The geometry of a convolution along one axis of the image.
private struct Axis {
    let size, outSize, kernel, stride, padding, dilation: Int

    /// Output pixel p sees input pixels p · stride − padding + tap · dilation.
    var forward: GatherAxis {
        GatherAxis(
            points: outSize, step: stride, taps: kernel, first: -padding, spacing: dilation, targetFirst: 0,
            targetStep: 1, lastTap: kernel - 1, tapStep: 1)
    }

    /// Input pixels by remainder of the stride: i = stride · p + first sees output (i + padding − tap · dilation) / stride
    /// for the taps that leave no remainder.
    var backward: [GatherAxis] {
        (0..<stride).map { first in
            let points = first < size ? (size - first + stride - 1) / stride : 0
            let taps = (0..<kernel).filter { (first + padding - $0 * dilation) % stride == 0 }
            let last = taps.last ?? 0
            let tapStep = taps.count > 1 ? taps[1] - taps[0] : 1
            return GatherAxis(
                points: points, step: 1, taps: taps.count, first: (first + padding - last * dilation) / stride,
                spacing: Swift.max(1, tapStep * dilation / stride), targetFirst: first, targetStep: stride,
                lastTap: last, tapStep: tapStep)
        }
    }
}
