import Tensors

/// What a data loader yields and a step receives.
///
/// A batch says how many samples it holds: losses, metrics and gradients are weighted by it, so that nothing has to be
/// guessed from shapes.
public protocol DataBatch: Sendable {
    /// The number of samples in the batch.
    var sampleCount: Int { get }
}

/// Inputs with their labels.
public struct LabeledBatch: DataBatch {
    /// `[samples, …]`.
    public var inputs: Tensor
    /// `[samples, …]`, usually `int64` classes.
    public var labels: Tensor

    /// A batch of inputs and labels, one each per sample.
    public init(inputs: Tensor, labels: Tensor) {
        self.inputs = inputs
        self.labels = labels
    }

    /// The first extent of the inputs.
    public var sampleCount: Int { inputs.shape[0] }
}

extension Tensor: DataBatch {
    /// The first extent.
    public var sampleCount: Int { shape.isEmpty ? 1 : shape[0] }
}
