import Lightning

/// The document's section "Child Modules": an autoencoder whose encoder is what the module is for.
///
/// A child module is a stored property; `forward` is the practical use of the module, here to represent images.
public enum ChildModules {
    /// A network that squeezes images through a code.
    public final class AutoEncoder: Module, Layer {
        /// Images to codes.
        public let encoder = Sequential {
            Flatten()
            Linear(64, 32)
            ReLU()
            Linear(32, 8)
        }
        /// Codes to images.
        public let decoder = Sequential {
            Linear(8, 32)
            ReLU()
            Linear(32, 64)
        }
        /// Images to images.
        public func callAsFunction(_ x: Tensor) -> Tensor { decoder(encoder(x)).reshaped(to: x.shape) }
    }

    /// Trains it.
    public final class LitAutoEncoder: LightningModule, Layer, TrainingModule, ValidationModule, TestModule {
        /// The child module.
        public let autoEncoder: AutoEncoder

        /// The training of a network.
        public init(_ autoEncoder: AutoEncoder) {
            self.autoEncoder = autoEncoder
            super.init()
        }

        /// The representation of some images.
        public func callAsFunction(_ x: Tensor) -> Tensor { autoEncoder.encoder(x) }

        /// How far decoded images are from those encoded.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
            let x = batch.inputs
            return meanSquaredError(autoEncoder(x), x)
        }

        /// Logs `val_loss`.
        public func validationStep(_ batch: LabeledBatch, batchIndex: Int) { sharedEvaluation(batch, "val") }
        /// Logs `test_loss`.
        public func testStep(_ batch: LabeledBatch, batchIndex: Int) { sharedEvaluation(batch, "test") }

        private func sharedEvaluation(_ batch: LabeledBatch, _ prefix: String) {
            let x = batch.inputs
            log("\(prefix)_loss", meanSquaredError(autoEncoder(x), x))
        }

        /// Adam.
        public func configureOptimizers() -> OptimizerConfiguration { .init(Adam(parameters, learningRate: 1e-3)) }
    }

    /// Trains the module, and represents some images with it.
    public static func represent(
        _ someImages: Tensor, _ module: LitAutoEncoder, train: DataLoader<LabeledBatch>,
        validation: DataLoader<LabeledBatch>, in directory: String
    ) throws -> (representations: Tensor, trainer: Trainer) {
        let trainer = try Trainer(maxEpochs: 4, defaultRootDir: directory)
        try trainer.fit(module, train: train, validation: validation)
        return (withoutGradient { module(someImages) }, trainer)
    }
}
