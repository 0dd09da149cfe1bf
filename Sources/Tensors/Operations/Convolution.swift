import CKernels

/// The geometry of a sliding window over images: kernel, stride, padding and dilation, each (height, width).
public struct Window: Hashable, Sendable {
    /// The extents of the kernel.
    public var kernel: (height: Int, width: Int)
    /// The steps between windows.
    public var stride: (height: Int, width: Int)
    /// The zeros added on each side.
    public var padding: (height: Int, width: Int)
    /// The distances between the kernel's taps.
    public var dilation: (height: Int, width: Int)

    /// A window; every argument may be one number for both directions.
    public init(
        kernel: (Int, Int), stride: (Int, Int) = (1, 1), padding: (Int, Int) = (0, 0), dilation: (Int, Int) = (1, 1)
    ) {
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
    }

    /// A square window.
    public init(kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1) {
        self.init(
            kernel: (kernel, kernel), stride: (stride, stride), padding: (padding, padding),
            dilation: (dilation, dilation))
    }

    /// Whether two windows have the same geometry.
    public static func == (a: Window, b: Window) -> Bool {
        a.kernel == b.kernel && a.stride == b.stride && a.padding == b.padding && a.dilation == b.dilation
    }

    /// Feeds the geometry to a hasher.
    public func hash(into hasher: inout Hasher) {
        for pair in [kernel, stride, padding, dilation] {
            hasher.combine(pair.height)
            hasher.combine(pair.width)
        }
    }

    /// The window over an image, for the kernels.
    func geometry(_ operation: StaticString, channels: Int, height: Int, width: Int) -> ck_window {
        for (pair, least) in [(kernel, 1), (stride, 1), (dilation, 1), (padding, 0)] {
            require(
                pair.height >= least && pair.width >= least, operation,
                "kernel \(kernel), stride \(stride), padding \(padding), dilation \(dilation)")
        }
        let outHeight = (height + 2 * padding.height - dilation.height * (kernel.height - 1) - 1) / stride.height + 1
        let outWidth = (width + 2 * padding.width - dilation.width * (kernel.width - 1) - 1) / stride.width + 1
        require(
            outHeight > 0 && outWidth > 0 && height + 2 * padding.height > dilation.height * (kernel.height - 1)
                && width + 2 * padding.width > dilation.width * (kernel.width - 1), operation,
            "a kernel of \(kernel) with dilation \(dilation) does not fit an image of \(height)×\(width), padding \(padding)"
        )
        return ck_window(
            channels: Int64(channels), height: Int64(height), width: Int64(width),
            kernel_height: Int64(kernel.height), kernel_width: Int64(kernel.width),
            stride_height: Int64(stride.height), stride_width: Int64(stride.width),
            padding_height: Int64(padding.height), padding_width: Int64(padding.width),
            dilation_height: Int64(dilation.height), dilation_width: Int64(dilation.width),
            out_height: Int64(outHeight), out_width: Int64(outWidth))
    }
}

extension ck_window {
    var outPlane: Int { Int(out_height * out_width) }
    var inPlane: Int { Int(height * width) }
    var taps: Int { Int(channels * kernel_height * kernel_width) }
    /// A 1×1 kernel that moves by one: the image is its own unfolding.
    var isPointwise: Bool {
        kernel_height == 1 && kernel_width == 1 && stride_height == 1 && stride_width == 1 && padding_height == 0
            && padding_width == 0
    }
}

extension Tensor {
    /// Two-dimensional convolution (cross-correlation, as in PyTorch).
    ///
    /// Each image is unfolded into columns, and the kernel times the columns is the result.
    /// - Parameters:
    ///   - weight: `[outputs, channels / groups, kernelHeight, kernelWidth]`.
    ///   - bias: `[outputs]`, or nil.
    ///   - window: Stride, padding and dilation; its kernel is that of `weight`.
    ///   - groups: Parts into which channels and outputs are cut, each convolved by itself.
    /// - Returns: `[batch, outputs, height, width]` for this tensor of shape `[batch, channels, height, width]`.
    public func convolved(weight: Tensor, bias: Tensor?, window: Window, groups: Int = 1) -> Tensor {
        require(
            rank == 4 && weight.rank == 4 && dtype == weight.dtype && dtype.isFloatingPoint, "conv2d",
            "\(dtype) \(shape) with weight \(weight.dtype) \(weight.shape): needs [batch, channels, height, width]")
        let batch = shape[0], outputs = weight.shape[0]
        require(
            groups >= 1 && shape[1] == weight.shape[1] * groups && outputs % groups == 0, "conv2d",
            "\(shape) with weight \(weight.shape) in \(groups) groups: needs [batch, weight's channels · groups, height, width]"
        )
        require(
            window.kernel.height == weight.shape[2] && window.kernel.width == weight.shape[3], "conv2d",
            "window \(window.kernel) for weight \(weight.shape)")
        if let bias {
            require(bias.shape == [outputs] && bias.dtype == dtype, "conv2d", "bias \(bias.shape) for \(weight.shape)")
        }
        if dtype == .bfloat16 {
            return inFloat32 {
                $0.convolved(weight: weight.widened(), bias: bias?.widened(), window: window, groups: groups)
            }
        }
        let g = window.geometry("conv2d", channels: weight.shape[1], height: shape[2], width: shape[3])
        let plan = ConvolutionPlan(
            dtype: dtype, batch: batch, groups: groups, outputsPerGroup: outputs / groups, window: g)
        let x = detached.contiguous(), w = weight.detached.contiguous()
        let y = Tensor(uninitialized: [batch, outputs, Int(g.out_height), Int(g.out_width)], dtype: dtype)
        plan.forward(x, w, bias?.detached.contiguous(), into: y)
        let (needsX, needsW, needsB) = (requiresGradient, weight.requiresGradient, bias?.requiresGradient ?? false)
        let hasBias = bias != nil
        return y.recorded("conv2d", [self, weight, bias].compactMap { $0 }) { gradient in
            let gy = gradient.contiguous()
            let gx = needsX ? plan.inputGradient(gy, w, shape: x.shape) : nil
            let gw = needsW ? plan.weightGradient(gy, x, shape: w.shape) : nil
            let gb = needsB ? gy.sum(along: [0, 2, 3]) : nil
            return hasBias ? [gx, gw, gb] : [gx, gw]
        }
    }
}

/// The three products of a convolution, image by image.
private struct ConvolutionPlan {
    let dtype: DType
    let batch: Int
    let groups: Int
    let outputsPerGroup: Int
    let window: ck_window

    private var size: Int { dtype.byteCount }
    private var imageCount: Int { batch * groups }
    private var inputElements: Int { Int(window.channels) * window.inPlane }
    private var outputElements: Int { outputsPerGroup * window.outPlane }
    private var weightElements: Int { outputsPerGroup * window.taps }

    /// Images summed by one thread into one partial weight gradient: depends on sizes alone (see Note [Tiles]).
    private var imagesPerPartial: Int { Swift.max(1, (batch + 7) / 8) }

    private func columns(_ image: UnsafeRawPointer, _ scratch: Tensor?) -> UnsafeRawPointer {
        guard let scratch else { return image }
        withUnsafePointer(to: window) { ck_image_to_columns(dtype.kernelType, $0, image, scratch.freshPointer) }
        return scratch.pointer
    }

    private func makeScratch() -> Tensor? {
        window.isPointwise ? nil : Tensor(uninitialized: [window.taps, window.outPlane], dtype: dtype)
    }

    private func matrix(_ pointer: UnsafeRawPointer, _ leading: Int, transposed: Bool = false) -> MatrixOperand {
        MatrixOperand(pointer: pointer, leadingDimension: leading, isTransposed: transposed)
    }

    func forward(_ x: Tensor, _ w: Tensor, _ bias: Tensor?, into y: Tensor) {
        Parallel.forEach(imageCount) { image in
            let group = image % groups
            let scratch = makeScratch()
            let columns = columns(x.pointer + image * inputElements * size, scratch)
            let out = y.freshPointer + image * outputElements * size
            if let bias {
                for o in 0..<outputsPerGroup {
                    let value = bias.pointer + (group * outputsPerGroup + o) * size
                    let number = dtype == .float32 ? Double(value.load(as: Float.self)) : value.load(as: Double.self)
                    ck_fill(dtype.kernelType, Int64(window.outPlane), number, out + o * window.outPlane * size)
                }
            }
            MatrixProduct.multiply(
                dtype, rows: outputsPerGroup, columns: window.outPlane, inner: window.taps,
                matrix(w.pointer + group * weightElements * size, window.taps), matrix(columns, window.outPlane),
                beta: bias == nil ? 0 : 1, into: out, leadingDimension: window.outPlane)
        }
    }

    /// Wᵀ · gy, folded back into an image.
    func inputGradient(_ gy: Tensor, _ w: Tensor, shape: Shape) -> Tensor {
        let gx = window.isPointwise ? Tensor(uninitialized: shape, dtype: dtype) : Tensor.zeros(shape, dtype: dtype)
        Parallel.forEach(imageCount) { image in
            let group = image % groups
            let scratch = makeScratch()
            let target = gx.freshPointer + image * inputElements * size
            MatrixProduct.multiply(
                dtype, rows: window.taps, columns: window.outPlane, inner: outputsPerGroup,
                matrix(w.pointer + group * weightElements * size, window.taps, transposed: true),
                matrix(gy.pointer + image * outputElements * size, window.outPlane),
                into: scratch?.freshPointer ?? target, leadingDimension: window.outPlane)
            if let scratch {
                withUnsafePointer(to: window) { ck_columns_to_image(dtype.kernelType, $0, scratch.pointer, target) }
            }
        }
        return gx
    }

    /// Σ over images of gy · columnsᵀ: by fixed parts of the batch, added in order.
    func weightGradient(_ gy: Tensor, _ x: Tensor, shape: Shape) -> Tensor {
        let partials = (batch + imagesPerPartial - 1) / imagesPerPartial
        let sums = Tensor(uninitialized: [Swift.max(partials, 1), shape.elementCount], dtype: dtype)
        if partials == 0 { return Tensor.zeros(shape, dtype: dtype) }
        Parallel.forEach(partials) { part in
            let scratch = makeScratch()
            let first = part * imagesPerPartial
            for image in first..<Swift.min(first + imagesPerPartial, batch) {
                for group in 0..<groups {
                    let index = image * groups + group
                    let columns = columns(x.pointer + index * inputElements * size, scratch)
                    MatrixProduct.multiply(
                        dtype, rows: outputsPerGroup, columns: window.taps, inner: window.outPlane,
                        matrix(gy.pointer + index * outputElements * size, window.outPlane),
                        matrix(columns, window.outPlane, transposed: true), beta: image == first ? 0 : 1,
                        into: sums.freshPointer + (part * groups + group) * weightElements * size,
                        leadingDimension: window.taps)
                }
            }
        }
        return (partials == 1 ? sums : sums.sum(along: 0)).reshaped(to: shape)
    }
}
