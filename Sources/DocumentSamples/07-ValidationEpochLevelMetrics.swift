import Lightning

/// The document's section "Validation Epoch-level Metrics": the outputs of all steps of a validation.
///
/// The hooks run in the document's order: `onValidationEpochEnd` before `onTrainEpochEnd`.
public enum ValidationEpochLevelMetrics {
    /// A transformer that keeps its predictions until the validation ends.
    public final class LightningTransformer: ValidationLoopSample.LightningTransformer {
        /// The predictions of the validation so far.
        public private(set) var validationStepOutputs: [Tensor] = []
        /// What each validation came to: `[windows, length]`.
        public private(set) var allPredictions: [Tensor] = []
        /// The ends that were reached, in order.
        public private(set) var ends: [String] = []

        /// The loss of a batch; its predictions are kept.
        public override func validationStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
            let (inputs, target) = (batch.inputs, batch.labels)
            let output = model(inputs, target)
            let loss = negativeLogLikelihood(output, target.reshaped(to: [-1]))
            validationStepOutputs.append(output.argmax().reshaped(to: target.shape))
            return loss
        }

        /// Puts them together.
        public override func onValidationEpochEnd() {
            allPredictions.append(Tensor.concatenate(validationStepOutputs))
            validationStepOutputs.removeAll()  // free memory
            ends.append("validation")
        }

        /// Comes after the validation.
        public override func onTrainEpochEnd() { ends.append("training") }
    }
}
