import ExampleModules
import Lightning

/// The document's section "Training Loop": a training step, and what the trainer does with it.
///
/// The pseudocode is code here, and the trainer's weights after it are the same to the bit.
public enum TrainingLoopSample {
    /// A transformer that can be trained.
    public class LightningTransformer: LightningModule, TrainingModule {
        final let model: WordTransformer

        /// Builds the network.
        public init(vocabularySize: Int) {
            model = WordTransformer(vocabulary: vocabularySize, width: 16, hidden: 16)
            super.init()
        }

        /// The loss of a batch.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
            let (inputs, target) = (batch.inputs, batch.labels)
            let output = model(inputs, target)
            return negativeLogLikelihood(output, target.reshaped(to: [-1]))
        }

        /// Plain SGD.
        public func configureOptimizers() -> OptimizerConfiguration {
            .init(SGD(model.parameters, learningRate: 0.1))
        }
    }

    /// "Under the hood, Lightning does the following": an epoch by hand.
    public static func pseudocode(
        _ module: LightningTransformer, _ trainDataLoader: DataLoader<LabeledBatch>, epoch: Int = 0
    ) throws {
        let optimizer = module.configureOptimizers().optimizer
        // enable gradient calculation
        try withGradient {
            try enumerate(trainDataLoader, trains: true, epoch: epoch) { batchIndex, batch in
                let loss = try module.trainingStep(batch, batchIndex: batchIndex)

                // clear gradients
                optimizer.zeroGradients()

                // backward
                loss.backward()

                // update parameters
                optimizer.step()
            }
        }
    }
}
