import Tensors

/// What a data loader yields and a step receives.
///
/// A batch says how many samples it holds: losses, metrics and gradients are weighted by it, so that nothing has to be
/// guessed from shapes.
public protocol DataBatch: Sendable {
    /// The number of samples in the batch.
    var sampleCount: Int { get }
    /// The batch with its floating-point tensors in another type: what a run in `float64True` or `bfloat16True` gives to
    /// steps.
    ///
    /// By default the batch as it is; implement it for a type of your own to take part.
    func converted(toFloating type: DType) -> Self
}

extension DataBatch {
    /// The batch as it is.
    public func converted(toFloating type: DType) -> Self { self }
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

    /// Inputs and labels, those with floating-point numbers converted.
    public func converted(toFloating type: DType) -> LabeledBatch {
        LabeledBatch(inputs: inputs.converted(toFloating: type), labels: labels.converted(toFloating: type))
    }
}

extension Tensor: DataBatch {
    /// The first extent.
    public var sampleCount: Int { shape.isEmpty ? 1 : shape[0] }

    /// Converted if the elements are floating-point numbers, otherwise as it is.
    public func converted(toFloating type: DType) -> Tensor { dtype.isFloatingPoint ? converted(to: type) : self }
}
