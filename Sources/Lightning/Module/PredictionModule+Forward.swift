import DataLoading
import NN
import Tensors

// A module that maps a tensor to a tensor predicts by doing that, unless it says otherwise. It names its batch, since no
// step does: `typealias PredictionBatch = LabeledBatch`.

extension PredictionModule where Self: Layer, PredictionBatch == LabeledBatch {
    /// The module's output for the inputs of a batch.
    public func predictStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor { self(batch.inputs) }
}

extension PredictionModule where Self: Layer, PredictionBatch == Tensor {
    /// The module's output for a batch.
    public func predictStep(_ batch: Tensor, batchIndex: Int) throws -> Tensor { self(batch) }
}
