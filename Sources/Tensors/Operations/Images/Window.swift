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
