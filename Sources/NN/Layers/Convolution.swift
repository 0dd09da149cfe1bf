import Tensors

/// Two-dimensional convolution over `[batch, channels, height, width]`.
public final class Conv2d: Module, Layer {
    /// `[outputs, channels / groups, kernelHeight, kernelWidth]`.
    public let weight: Parameter
    /// `[outputs]`, or nil.
    public let bias: Parameter?
    /// Kernel, stride, padding and dilation.
    public let window: Window
    /// Parts convolved by themselves.
    public let groups: Int

    /// A convolution with PyTorch's initial values.
    ///
    /// - Parameters:
    ///   - channels: Channels of the input.
    ///   - outputs: Channels of the output.
    ///   - window: Kernel, stride, padding and dilation, each by height and width.
    ///   - groups: Parts into which channels and outputs are cut, each convolved by itself.
    ///   - bias: Whether there is a bias.
    public init(_ channels: Int, _ outputs: Int, window: Window, groups: Int = 1, bias: Bool = true) {
        require(
            channels > 0 && outputs > 0 && groups > 0 && channels % groups == 0 && outputs % groups == 0, "Conv2d",
            "\(channels) channels and \(outputs) outputs cannot be cut into \(groups) groups")
        let inputs = channels / groups * window.kernel.height * window.kernel.width
        weight = Parameter(
            Initializer.fanIn(inputs)([outputs, channels / groups, window.kernel.height, window.kernel.width]))
        self.bias = bias ? Parameter(Initializer.fanIn(inputs)([outputs])) : nil
        self.window = window
        self.groups = groups
    }

    /// A convolution with a square kernel.
    public convenience init(
        _ channels: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1,
        groups: Int = 1, bias: Bool = true
    ) {
        self.init(
            channels, outputs, window: Window(kernel: kernel, stride: stride, padding: padding, dilation: dilation),
            groups: groups, bias: bias)
    }

    /// `[batch, channels, height, width]` to `[batch, outputs, …, …]`.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        observed(input) { $0.convolved(weight: weight.value, bias: bias?.value, window: window, groups: groups) }
    }
}

/// The largest element of each window.
public final class MaxPool2d: Module, Layer {
    private let window: Window

    /// Windows of `kernel` × `kernel`, by default side by side.
    public init(_ kernel: Int, stride: Int? = nil, padding: Int = 0) {
        window = Window(kernel: kernel, stride: stride ?? kernel, padding: padding)
    }

    /// The pooled planes.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.maxPooled(window) }
}

/// The mean of each window.
public final class AveragePool2d: Module, Layer {
    private let window: Window

    /// Windows of `kernel` × `kernel`, by default side by side.
    public init(_ kernel: Int, stride: Int? = nil, padding: Int = 0) {
        window = Window(kernel: kernel, stride: stride ?? kernel, padding: padding)
    }

    /// The pooled planes.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.averagePooled(window) }
}

/// The mean of each whole plane: `[batch, channels, height, width]` to `[batch, channels]`.
public final class GlobalAveragePool: Module, Layer {
    /// One number per channel.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.mean(along: [2, 3]) }
}
