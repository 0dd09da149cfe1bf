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

/// One-dimensional convolution over `[batch, channels, length]`.
public final class Conv1d: Module, Layer {
    /// `[outputs, channels / groups, kernel]`.
    public let weight: Parameter
    /// `[outputs]`, or nil.
    public let bias: Parameter?
    private let window: Window
    private let groups: Int

    /// A convolution with PyTorch's initial values.
    ///
    /// - Parameters:
    ///   - channels: Channels of the input.
    ///   - outputs: Channels of the output.
    ///   - kernel: The extent of the kernel.
    ///   - stride: The step between windows.
    ///   - padding: Zeros added on each side.
    ///   - dilation: The distance between the kernel's taps.
    ///   - groups: Parts into which channels and outputs are cut, each convolved by itself.
    ///   - bias: Whether there is a bias.
    public init(
        _ channels: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1,
        groups: Int = 1, bias: Bool = true
    ) {
        require(
            channels > 0 && outputs > 0 && groups > 0 && channels % groups == 0 && outputs % groups == 0, "Conv1d",
            "\(channels) channels and \(outputs) outputs cannot be cut into \(groups) groups")
        let inputs = channels / groups * kernel
        weight = Parameter(Initializer.fanIn(inputs)([outputs, channels / groups, kernel]))
        self.bias = bias ? Parameter(Initializer.fanIn(inputs)([outputs])) : nil
        window = Window(kernel: (1, kernel), stride: (1, stride), padding: (0, padding), dilation: (1, dilation))
        self.groups = groups
    }

    /// `[batch, channels, length]` to `[batch, outputs, …]`.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        require(input.rank == 3, "Conv1d", "input \(input.shape) instead of [batch, channels, length]")
        // An image of one line.
        return input.expandingDimension(at: 2).convolved(
            weight: weight.value.expandingDimension(at: 2), bias: bias?.value, window: window, groups: groups
        ).squeezed(2)
    }
}

/// The transpose of a two-dimensional convolution, by which images grow: the map that a convolution's gradient takes.
public final class ConvTranspose2d: Module, Layer {
    /// `[channels, outputs / groups, kernelHeight, kernelWidth]`.
    public let weight: Parameter
    /// `[outputs]`, or nil.
    public let bias: Parameter?
    /// Kernel, stride, padding and dilation of the convolution that this is the transpose of.
    public let window: Window
    /// Parts convolved by themselves.
    public let groups: Int
    private let outputPadding: (height: Int, width: Int)

    /// A transposed convolution with PyTorch's initial values.
    ///
    /// - Parameters:
    ///   - channels: Channels of the input.
    ///   - outputs: Channels of the output.
    ///   - window: Kernel, stride, padding and dilation, each by height and width.
    ///   - outputPadding: Lines and columns that the output has more at its end, less than the stride: several
    ///     sizes of output lead to one size of input.
    ///   - groups: Parts into which channels and outputs are cut, each convolved by itself.
    ///   - bias: Whether there is a bias.
    public init(
        _ channels: Int, _ outputs: Int, window: Window, outputPadding: (height: Int, width: Int) = (0, 0),
        groups: Int = 1, bias: Bool = true
    ) {
        require(
            channels > 0 && outputs > 0 && groups > 0 && channels % groups == 0 && outputs % groups == 0,
            "ConvTranspose2d", "\(channels) channels and \(outputs) outputs cannot be cut into \(groups) groups")
        let inputs = outputs / groups * window.kernel.height * window.kernel.width
        weight = Parameter(
            Initializer.fanIn(inputs)([channels, outputs / groups, window.kernel.height, window.kernel.width]))
        self.bias = bias ? Parameter(Initializer.fanIn(inputs)([outputs])) : nil
        self.window = window
        self.groups = groups
        self.outputPadding = outputPadding
    }

    /// A transposed convolution with a square kernel.
    public convenience init(
        _ channels: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, outputPadding: Int = 0,
        dilation: Int = 1, groups: Int = 1, bias: Bool = true
    ) {
        self.init(
            channels, outputs, window: Window(kernel: kernel, stride: stride, padding: padding, dilation: dilation),
            outputPadding: (outputPadding, outputPadding), groups: groups, bias: bias)
    }

    /// `[batch, channels, height, width]` to `[batch, outputs, …, …]`.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        input.convolvedTransposed(
            weight: weight.value, bias: bias?.value, window: window, outputPadding: outputPadding, groups: groups)
    }
}
