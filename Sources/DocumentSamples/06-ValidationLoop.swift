import Lightning

/// The document's section "Validation Loop": a validation step, and what the trainer does with it.
///
/// Validating on one device is not needed to see each sample once: no sample is repeated on any number of ranks.
public enum ValidationLoopSample {
    /// A transformer that can be trained and validated.
    public class LightningTransformer: TrainingLoopSample.LightningTransformer, ValidationModule {
        /// Logs `val_loss`.
        public func validationStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
            let (inputs, target) = (batch.inputs, batch.labels)
            let output = model(inputs, target)
            let loss = negativeLogLikelihood(output, target.reshaped(to: [-1]))
            log("val_loss", loss)
            return loss
        }
    }

    /// "Under the hood, Lightning does the following": an epoch by hand, with validations on the way.
    ///
    /// - Returns: The loss of each validation.
    public static func pseudocode(
        _ model: LightningTransformer, _ trainDataLoader: DataLoader<LabeledBatch>,
        _ validationDataLoader: DataLoader<LabeledBatch>, validatesAt: (Int) -> Bool
    ) throws -> [Double] {
        let optimizer = model.configureOptimizers().optimizer
        var losses: [Double] = []
        try enumerate(trainDataLoader, trains: true) { batchIndex, batch in
            let loss = try model.trainingStep(batch, batchIndex: batchIndex)
            optimizer.zeroGradients()
            loss.backward()
            optimizer.step()

            if validatesAt(batchIndex) {
                // disable grads + batchnorm + dropout
                try withoutGradient {
                    model.evaluate()

                    // ----------------- VAL LOOP ---------------
                    var (sum, count) = (0.0, 0)
                    try enumerate(validationDataLoader) { validationBatchIndex, validationBatch in
                        let output = try model.validationStep(validationBatch, batchIndex: validationBatchIndex)
                        sum += output.item * Double(validationBatch.sampleCount)
                        count += validationBatch.sampleCount
                    }
                    losses.append(sum / Double(count))
                    // ----------------- VAL LOOP ---------------
                }
                // enable grads + batchnorm + dropout
                model.train()
            }
        }
        return losses
    }

    /// "You can also run just the validation loop".
    public static func validate(
        _ dataLoader: DataLoader<LabeledBatch>, vocabularySize: Int, in directory: String
    ) throws -> [String: Double] {
        let model = LightningTransformer(vocabularySize: vocabularySize)
        let trainer = try Trainer(defaultRootDir: directory)
        return try trainer.validate(model, dataLoader)
    }
}
