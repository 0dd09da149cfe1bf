import Tensors

/// Inputs and labels held in memory.
public struct TensorDataset: Dataset {
    /// `[count, …]`, in any element type.
    public let inputs: Tensor
    /// `[count, …]`.
    public let labels: Tensor

    /// A data set of inputs with labels.
    ///
    /// - Precondition: both have the same first extent.
    public init(inputs: Tensor, labels: Tensor) {
        require(
            inputs.rank > 0 && labels.rank > 0 && inputs.shape[0] == labels.shape[0], "TensorDataset",
            "inputs \(inputs.shape) with labels \(labels.shape); one label per input is needed")
        self.inputs = inputs.detached.contiguous()
        self.labels = labels.detached.contiguous()
    }

    /// The number of samples.
    public var count: Int { inputs.shape[0] }
    /// True.
    public var isInMemory: Bool { true }

    /// Copies of the rows at the given indices.
    public func batch(at indices: [Int]) -> LabeledBatch {
        LabeledBatch(inputs: inputs.rows(at: indices), labels: labels.rows(at: indices))
    }
}
