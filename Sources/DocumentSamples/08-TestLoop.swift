import ExampleModules
import Lightning

/// The document's section "Test Loop", with both ways to call it.
///
/// The best weights are loaded when `checkpoint: "best"` says so, and not because the module is left out; and a module
/// that checkpoints rebuild says what of: its hyperparameters.
public enum TestLoopSample {
    /// A transformer that can be trained, tested and rebuilt.
    public final class LightningTransformer: LightningModule, HyperparameterModule, TrainingModule, TestModule {
        /// What the network is built from.
        public struct Hyperparameters: Codable, Sendable {
            /// Distinct words.
            public var vocabularySize: Int
            /// So many distinct words.
            public init(vocabularySize: Int) { self.vocabularySize = vocabularySize }
        }
        /// What this network was built from.
        public let hyperparameters: Hyperparameters
        private let model: WordTransformer

        /// Builds the network.
        public init(_ hyperparameters: Hyperparameters) {
            self.hyperparameters = hyperparameters
            model = WordTransformer(vocabulary: hyperparameters.vocabularySize, width: 16, hidden: 16)
            super.init()
        }

        private func loss(_ batch: LabeledBatch) -> Tensor {
            negativeLogLikelihood(model(batch.inputs, batch.labels), batch.labels.reshaped(to: [-1]))
        }

        /// The loss of a batch.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor { loss(batch) }

        /// Logs `test_loss`.
        public func testStep(_ batch: LabeledBatch, batchIndex: Int) { log("test_loss", loss(batch)) }

        /// Plain SGD.
        public func configureOptimizers() -> OptimizerConfiguration {
            .init(SGD(model.parameters, learningRate: 0.1))
        }
    }

    /// "Call after training".
    ///
    /// - Returns: The result, and the file of the best weights.
    public static func testAfterTraining(
        _ model: LightningTransformer, train: DataLoader<LabeledBatch>, test: DataLoader<LabeledBatch>,
        in directory: String
    ) throws -> (results: [String: Double], path: String) {
        let trainer = try Trainer(maxEpochs: 2, defaultRootDir: directory)
        try trainer.fit(model, train: train)

        // loads the best weights from the previous run
        let results = try trainer.test(model, test, checkpoint: "best")
        return (results, try trainer.checkpointPath("best"))
    }

    /// "Or call with pretrained model".
    public static func testPretrained(
        _ path: String, test: DataLoader<LabeledBatch>, in directory: String
    ) throws -> [String: Double] {
        let model = try LightningTransformer.load(fromCheckpoint: path)
        let trainer = try Trainer(defaultRootDir: directory)
        return try trainer.test(model, test)
    }
}
