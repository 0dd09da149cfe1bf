import Tensors

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

/// The largest element of each window of `[batch, channels, length]`.
public final class MaxPool1d: Module, Layer {
    private let window: Window

    /// Windows of `kernel`, by default side by side.
    public init(_ kernel: Int, stride: Int? = nil, padding: Int = 0) {
        window = Window(kernel: (1, kernel), stride: (1, stride ?? kernel), padding: (0, padding))
    }

    /// The pooled lines.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        input.expandingDimension(at: 2).maxPooled(window).squeezed(2)
    }
}

/// The mean of each window of `[batch, channels, length]`.
public final class AveragePool1d: Module, Layer {
    private let window: Window

    /// Windows of `kernel`, by default side by side.
    public init(_ kernel: Int, stride: Int? = nil, padding: Int = 0) {
        window = Window(kernel: (1, kernel), stride: (1, stride ?? kernel), padding: (0, padding))
    }

    /// The pooled lines.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        input.expandingDimension(at: 2).averagePooled(window).squeezed(2)
    }
}

/// The means of as many windows as an output of a given size needs, whatever the size of the input.
///
/// Windows overlap where the input's extent is no multiple of the output's.
public final class AdaptiveAveragePool2d: Module, Layer {
    private let height, width: Int

    /// Planes of the given size.
    public init(_ height: Int, _ width: Int) {
        require(height > 0 && width > 0, "AdaptiveAveragePool2d", "an output of \(height)×\(width)")
        self.height = height
        self.width = width
    }

    /// Square planes.
    public convenience init(_ size: Int) { self.init(size, size) }

    /// `[batch, channels, …, …]` to `[batch, channels, height, width]`.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        require(input.rank == 4, "AdaptiveAveragePool2d", "input \(input.shape) instead of [batch, channels, h, w]")
        if height == 1, width == 1 { return input.mean(along: [2, 3], keepingDimensions: true) }
        return input.resampled(
            rows: ResamplingMatrix(averaging: input.shape[2], to: height),
            columns: ResamplingMatrix(averaging: input.shape[3], to: width))
    }
}
