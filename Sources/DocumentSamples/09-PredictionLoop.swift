import Lightning

/// The document's section "Prediction Loop", with both ways to call it.
///
/// Predictions are rows of one tensor, one for each sample and in the order of the data set, on every rank: not a list
/// of batches of this rank alone.
public enum PredictionLoopSample {
    /// A transformer that can be trained, rebuilt and asked.
    public final class LightningTransformer: TrainingLoopSample.LightningTransformer, HyperparameterModule,
        PredictionModule
    {
        /// What the network is built from.
        public struct Hyperparameters: Codable, Sendable {
            /// Distinct words.
            public var vocabularySize: Int
            /// So many distinct words.
            public init(vocabularySize: Int) { self.vocabularySize = vocabularySize }
        }
        /// What this network was built from.
        public let hyperparameters: Hyperparameters

        /// Builds the network.
        public init(_ hyperparameters: Hyperparameters) {
            self.hyperparameters = hyperparameters
            super.init(vocabularySize: hyperparameters.vocabularySize)
        }

        /// The log-probabilities of each window, `[windows, length, words]`.
        public func predictStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
            let (inputs, target) = (batch.inputs, batch.labels)
            return model(inputs, target).reshaped(to: Shape(Array(target.shape) + [hyperparameters.vocabularySize]))
        }
    }

    /// "Under the hood, Lightning does the following".
    public static func pseudocode(
        _ model: LightningTransformer, _ predictDataLoader: DataLoader<LabeledBatch>
    ) throws -> [Tensor] {
        // disable grads + batchnorm + dropout
        try withoutGradient {
            model.evaluate()
            var allPredictions: [Tensor] = []
            try enumerate(predictDataLoader) { batchIndex, batch in
                let prediction = model.predictStep(batch, batchIndex: batchIndex)
                allPredictions.append(prediction)
            }
            return allPredictions
        }
    }

    /// "Call after training".
    ///
    /// - Returns: The rows, and the file of the best weights.
    public static func predictAfterTraining(
        _ model: LightningTransformer, train: DataLoader<LabeledBatch>, predict: DataLoader<LabeledBatch>,
        in directory: String
    ) throws -> (rows: Tensor?, path: String) {
        let trainer = try Trainer(maxEpochs: 1, defaultRootDir: directory)
        try trainer.fit(model, train: train)

        // loads the best weights from the previous run
        let predictions = try trainer.predict(model, predict, checkpoint: "best")
        return (predictions, try trainer.checkpointPath("best"))
    }

    /// "Or call with pretrained model".
    public static func predictPretrained(
        _ path: String, predict: DataLoader<LabeledBatch>, in directory: String
    ) throws -> Tensor? {
        let model = try LightningTransformer.load(fromCheckpoint: path)
        let trainer = try Trainer(defaultRootDir: directory)
        return try trainer.predict(model, predict)
    }
}
