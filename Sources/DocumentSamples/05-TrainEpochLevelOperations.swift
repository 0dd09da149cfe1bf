import Lightning

/// The document's section "Train Epoch-level Operations": the outputs of all steps of an epoch.
///
/// A tensor keeps the graph it came from alive, so what is kept is detached; here whole numbers, which have no graph.
public enum TrainEpochLevelOperations {
    /// A transformer that keeps its predictions until the epoch ends.
    public final class LightningTransformer: TrainingLoopSample.LightningTransformer {
        /// The predictions of the epoch so far.
        public private(set) var trainingStepOutputs: [Tensor] = []
        /// What the last epoch came to: `[windows, length]`.
        public private(set) var allPredictions: Tensor?

        /// The loss of a batch; its predictions are kept.
        public override func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
            let (inputs, target) = (batch.inputs, batch.labels)
            let output = model(inputs, target)
            let loss = negativeLogLikelihood(output, target.reshaped(to: [-1]))
            let predictions = output.argmax().reshaped(to: target.shape)
            trainingStepOutputs.append(predictions)
            return loss
        }

        /// Puts them together.
        public override func onTrainEpochEnd() {
            allPredictions = Tensor.concatenate(trainingStepOutputs)
            trainingStepOutputs.removeAll()  // free memory
        }
    }
}
