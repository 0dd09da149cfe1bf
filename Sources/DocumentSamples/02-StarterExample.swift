import ExampleModules
import Lightning

/// The document's section "Starter Example": the only methods that are required.
///
/// `forward` is `callAsFunction`, and a batch is not a tuple but a ``LabeledBatch``, which knows its number of samples.
public enum StarterExample {
    /// A transformer over words.
    public final class LightningTransformer: LightningModule, TrainingModule {
        private let model: WordTransformer

        /// Builds the network.
        public init(vocabularySize: Int) {
            model = WordTransformer(vocabulary: vocabularySize)
            super.init()
        }

        /// The network's log-probabilities.
        public func callAsFunction(_ inputs: Tensor, _ target: Tensor) -> Tensor { model(inputs, target) }

        /// The loss of a batch.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
            let (inputs, target) = (batch.inputs, batch.labels)
            let output = self(inputs, target)
            return negativeLogLikelihood(output, target.reshaped(to: [-1]))
        }

        /// Plain SGD.
        public func configureOptimizers() -> OptimizerConfiguration {
            .init(SGD(model.parameters, learningRate: 0.1))
        }
    }

    /// "Which you can train by doing".
    public static func train(on dataset: WikiText2, steps: Int = 100) throws -> (
        model: LightningTransformer, trainer: Trainer
    ) {
        let dataLoader = DataLoader(dataset, batchSize: 1)
        let model = LightningTransformer(vocabularySize: dataset.vocabularySize)

        let trainer = try Trainer(fastDevRun: steps)
        try trainer.fit(model, train: dataLoader)
        return (model, trainer)
    }
}
