import Tensors

/// Layer normalisation over the last dimension, with a learnt scale and shift.
public final class LayerNorm: Module, Layer {
    /// `[size]`.
    public let weight: Parameter
    /// `[size]`, or nil.
    public let bias: Parameter?
    private let epsilon: Double

    /// Normalises vectors of the given size.
    public init(_ size: Int, epsilon: Double = 1e-5, bias: Bool = true) {
        weight = Parameter(.ones([size]))
        self.bias = bias ? Parameter(.zeros([size])) : nil
        self.epsilon = epsilon
    }

    /// `[…, size]`, normalised.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        observed(input) { $0.layerNorm(weight: weight.value, bias: bias?.value, epsilon: epsilon) }
    }
}

/// Root mean square normalisation over the last dimension, with a learnt scale.
public final class RMSNorm: Module, Layer {
    /// `[size]`.
    public let weight: Parameter
    private let epsilon: Double?

    /// Normalises vectors of the given size.
    ///
    /// - Parameters:
    ///   - size: The last extent of inputs.
    ///   - epsilon: What is added to the mean square; nil for the smallest step from 1 of the element type.
    public init(_ size: Int, epsilon: Double? = nil) {
        weight = Parameter(.ones([size]))
        self.epsilon = epsilon
    }

    /// `[…, size]`, normalised.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        observed(input) { $0.rmsNorm(weight: weight.value, epsilon: epsilon) }
    }
}

/// Batch normalisation of `[batch, channels, …]`, with a learnt scale and shift and running moments for evaluation.
///
/// The moments of a batch are those of the rank's own part of it; before validation and in checkpoints the running
/// moments are rank 0's.
public final class BatchNorm: Module, Layer {
    /// `[channels]`.
    public let weight: Parameter
    /// `[channels]`.
    public let bias: Parameter
    /// The running mean, `[channels]`.
    public let runningMean: Buffer
    /// The running unbiased variance, `[channels]`.
    public let runningVariance: Buffer
    /// How many batches the running moments were made of, an `int64` scalar.
    public let batchCount: Buffer
    /// The share of a new batch in the running moments; nil makes them the mean over all batches.
    public var momentum: Double?
    private let epsilon: Double

    /// Normalises the given number of channels.
    ///
    /// - Parameters:
    ///   - channels: The second extent of inputs.
    ///   - epsilon: What is added to variances.
    ///   - momentum: The share of a new batch in the running moments; nil makes them the mean over all batches.
    public init(_ channels: Int, epsilon: Double = 1e-5, momentum: Double? = 0.1) {
        require(channels > 0, "BatchNorm", "\(channels) channels; at least one is needed")
        weight = Parameter(.ones([channels]))
        bias = Parameter(.zeros([channels]))
        runningMean = Buffer(.zeros([channels]))
        runningVariance = Buffer(.ones([channels]))
        batchCount = Buffer(Tensor(scalar: 0, dtype: .int64))
        self.momentum = momentum
        self.epsilon = epsilon
    }

    /// The PyTorch names of the running moments.
    public override var namedParts: [(name: String, part: Any)] {
        [
            ("weight", weight), ("bias", bias), ("running_mean", runningMean), ("running_var", runningVariance),
            ("num_batches_tracked", batchCount),
        ]
    }

    /// The input normalised by its own moments in training, by the running ones in evaluation.
    public func callAsFunction(_ input: Tensor) -> Tensor { observed(input) { normalized($0, isRectified: false) } }

    /// What a ``ReLU`` makes of this layer's output, in one operation.
    ///
    /// As in ``Sequential``, where the two follow each other. A convolution after it keeps nothing more for the backward
    /// pass than what this layer keeps.
    public func rectified(_ input: Tensor) -> Tensor { observed(input) { normalized($0, isRectified: true) } }

    private func normalized(_ input: Tensor, isRectified: Bool) -> Tensor {
        guard isTraining else {
            return input.batchNorm(
                weight: weight.value, bias: bias.value, moments: (runningMean.value, runningVariance.value),
                epsilon: epsilon, isRectified: isRectified
            ).result
        }
        let (result, mean, variance) = input.batchNorm(
            weight: weight.value, bias: bias.value, epsilon: epsilon, isRectified: isRectified)
        let batches = batchCount.value.item + 1
        let share = momentum ?? 1 / batches
        let count = Double(input.elementCount / input.shape[1])
        runningMean.value = runningMean.value * (1 - share) + mean * share
        runningVariance.value = runningVariance.value * (1 - share) + variance * (share * count / (count - 1))
        batchCount.value = Tensor(scalar: batches, dtype: .int64)
        return result
    }
}

/// PyTorch's name for ``BatchNorm`` over `[batch, channels]` or `[batch, channels, length]`.
public typealias BatchNorm1d = BatchNorm
/// PyTorch's name for ``BatchNorm`` over `[batch, channels, height, width]`.
public typealias BatchNorm2d = BatchNorm

/// Normalisation over groups of channels of each sample, with a learnt scale and shift (Wu & He, 2018).
///
/// One group is layer normalisation of a sample, as many groups as channels instance normalisation.
public final class GroupNorm: Module, Layer {
    /// `[channels]`, or nil.
    public let weight: Parameter?
    /// `[channels]`, or nil.
    public let bias: Parameter?
    private let groups, channels: Int
    private let epsilon: Double

    /// Normalises groups of `channels / groups` channels.
    ///
    /// - Parameters:
    ///   - groups: Parts into which channels are cut, each normalised by itself.
    ///   - channels: The second extent of inputs; a multiple of `groups`.
    ///   - epsilon: What is added to variances.
    ///   - affine: Whether there are a scale and a shift.
    public init(_ groups: Int, _ channels: Int, epsilon: Double = 1e-5, affine: Bool = true) {
        require(
            groups > 0 && channels > 0 && channels % groups == 0, "GroupNorm",
            "\(channels) channels cannot be cut into \(groups) groups")
        weight = affine ? Parameter(.ones([channels])) : nil
        bias = affine ? Parameter(.zeros([channels])) : nil
        self.groups = groups
        self.channels = channels
        self.epsilon = epsilon
    }

    /// `[batch, channels, …]`, normalised.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        require(
            input.rank >= 2 && input.shape[1] == channels, "GroupNorm",
            "input \(input.shape) instead of [batch, \(channels), …]")
        let rows = input.reshaped(to: [input.shape[0] * groups, input.elementCount / (input.shape[0] * groups)])
        let normal = rows.layerNorm(weight: nil, bias: nil, epsilon: epsilon).reshaped(to: input.shape)
        guard let weight, let bias else { return normal }
        let perChannel = Shape([channels] + Array(repeating: 1, count: input.rank - 2))
        return normal * weight.value.reshaped(to: perChannel) + bias.value.reshaped(to: perChannel)
    }
}
