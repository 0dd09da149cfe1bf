import Tensors

/// x where it is positive, slope · x elsewhere.
public final class LeakyReLU: Module, Layer {
    private let slope: Double

    /// A rectifier that lets through a share of what is negative.
    public init(slope: Double = 0.01) { self.slope = slope }

    /// Each element rectified.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.leakyReLU(slope: slope) }
}

/// x where it is positive, slope · x elsewhere, with a slope that is learnt (He et al., 2015).
public final class PReLU: Module, Layer {
    /// `[1]`, or `[channels]`.
    public let weight: Parameter

    /// One slope for all elements, or one for each of the second dimension's channels.
    public init(_ channels: Int = 1, slope: Double = 0.25) {
        require(channels > 0, "PReLU", "\(channels) slopes; at least one is needed")
        weight = Parameter(Tensor(filling: slope, shape: [channels]))
    }

    /// Each element rectified.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        let channels = weight.shape[0]
        require(
            channels == 1 || (input.rank >= 2 && input.shape[1] == channels), "PReLU",
            "\(channels) slopes for input \(input.shape)")
        let slopes = weight.value.reshaped(
            to: Shape([channels] + Array(repeating: 1, count: max(0, channels == 1 ? 0 : input.rank - 2))))
        return Tensor.select(where: input .> Tensor(scalar: 0, dtype: input.dtype), input, input * slopes)
    }
}

/// x where it is positive, alpha · (eˣ − 1) elsewhere.
public final class ELU: Module, Layer {
    private let alpha: Double

    /// A unit that falls to −alpha.
    public init(alpha: Double = 1) { self.alpha = alpha }

    /// Each element's ELU.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.elu(alpha: alpha) }
}

/// log(1 + e^(beta · x)) / beta, without overflow; PyTorch's `threshold` is not needed.
public final class Softplus: Module, Layer {
    private let beta: Double

    /// A smooth rectifier; the larger `beta`, the sharper its corner.
    public init(beta: Double = 1) {
        require(beta > 0, "Softplus", "a beta of \(beta); it is positive")
        self.beta = beta
    }

    /// Each element's softplus.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        beta == 1 ? input.softplus() : (input * beta).softplus() / beta
    }
}

/// Elements held between two bounds.
public final class Hardtanh: Module, Layer {
    private let range: ClosedRange<Double>

    /// Bounds, by default −1 and 1.
    public init(_ range: ClosedRange<Double> = -1...1) { self.range = range }

    /// Each element within the bounds.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.clamped(to: range) }
}

/// min(max(x, 0), 6).
public final class ReLU6: Module, Layer {
    /// Each element between 0 and 6.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.clamped(to: 0...6) }
}

/// Softmax along a dimension.
public final class Softmax: Module, Layer {
    private let dimension: Int

    /// Along a dimension, by default the last.
    public init(along dimension: Int = -1) { self.dimension = dimension }

    /// Positive numbers with the sum 1 along the dimension.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.softmax(along: dimension) }
}

/// The logarithm of softmax along a dimension.
public final class LogSoftmax: Module, Layer {
    private let dimension: Int

    /// Along a dimension, by default the last.
    public init(along dimension: Int = -1) { self.dimension = dimension }

    /// Logarithms of numbers with the sum 1 along the dimension.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.logSoftmax(along: dimension) }
}
