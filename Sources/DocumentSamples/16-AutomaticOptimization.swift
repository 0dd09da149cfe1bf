import Lightning

/// The document's section "automatic_optimization": modules that apply gradients themselves.
///
/// A protocol instead of a flag: the compiler knows then that the step returns no loss, and that there may be several
/// optimizers. The pseudocode's loop by hand gives the same bits.
public enum AutomaticOptimization {
    /// One optimizer: `opt.zero_grad(); self.manual_backward(loss); opt.step()`.
    public final class OneOptimizer: LightningModule, ManualTrainingModule {
        private let layer = Linear(64, 10)

        /// Without a hidden layer.
        public override init() { super.init() }

        /// The cross-entropy of a batch.
        public func loss(_ batch: LabeledBatch) -> Tensor {
            crossEntropy(layer(batch.inputs.flattened()), batch.labels)
        }

        /// Does everything.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws {
            let optimizer = optimizers()[0]

            let loss = loss(batch)
            optimizer.zeroGradients()
            try manualBackward(loss)
            try optimizer.step()
        }

        /// SGD.
        public func configureOptimizers() -> [OptimizerConfiguration] { [.init(SGD(parameters, learningRate: 0.1))] }
    }

    /// Two optimizers, of a generator and a discriminator of digits.
    public final class TwoOptimizers: LightningModule, ManualTrainingModule {
        /// Noise to images.
        public let generator = Sequential {
            Linear(8, 32)
            ReLU()
            Linear(32, 64)
            Sigmoid()
        }
        /// Images to logits.
        public let discriminator = Sequential {
            Linear(64, 32)
            ReLU()
            Linear(32, 1)
        }

        /// Two small networks.
        public override init() { super.init() }

        /// Noise for so many images, the same whenever a step is repeated.
        public func noise(_ count: Int) -> Tensor { Tensor.normals([count, 8]) }

        /// How far from `answer` the discriminator is on some images.
        public func loss(_ images: Tensor, answer: Double) -> Tensor {
            let logits = discriminator(images)
            return binaryCrossEntropy(logits: logits, Tensor(filling: answer, shape: logits.shape))
        }

        /// Updates one network, then the other.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws {
            // `optimizers()[0].optimizer` is what use_pl_optimizer=False gives
            let (optimizerA, optimizerB) = (optimizers()[0], optimizers()[1])
            let noise = noise(batch.sampleCount)

            let generatorLoss = loss(generator(noise), answer: 1)
            optimizerA.zeroGradients()
            try manualBackward(generatorLoss)
            try optimizerA.step()

            let drawn = generator(noise).detached
            let discriminatorLoss = loss(batch.inputs.flattened(), answer: 1) + loss(drawn, answer: 0)
            optimizerB.zeroGradients()
            try manualBackward(discriminatorLoss)
            try optimizerB.step()
        }

        /// One for each network.
        public func configureOptimizers() -> [OptimizerConfiguration] {
            [
                .init(Adam(generator.parameters, learningRate: 1e-3)),
                .init(Adam(discriminator.parameters, learningRate: 1e-3)),
            ]
        }
    }

    /// What two optimizers do, without a trainer.
    public static func byHand(
        _ module: TwoOptimizers, _ trainDataLoader: DataLoader<LabeledBatch>, epochs: Int
    ) throws {
        let optimizers = module.configureOptimizers().map(\.optimizer)
        for epoch in 0..<epochs {
            try enumerate(trainDataLoader, trains: true, epoch: epoch) { batchIndex, batch in
                let noise = module.noise(batch.sampleCount)
                optimizers[0].zeroGradients()
                module.loss(module.generator(noise), answer: 1).backward()
                optimizers[0].step()

                let drawn = module.generator(noise).detached
                optimizers[1].zeroGradients()
                (module.loss(batch.inputs.flattened(), answer: 1) + module.loss(drawn, answer: 0)).backward()
                optimizers[1].step()
            }
        }
    }
}
