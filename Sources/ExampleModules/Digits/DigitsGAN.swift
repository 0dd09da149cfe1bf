import Lightning

/// The document's adversarial pair: a generator that draws digits from noise, and a discriminator that tells them from
/// real ones.
public final class DigitsGAN: LightningModule, HyperparameterModule, ManualTrainingModule, ValidationModule {
    /// What the networks look like and how they are trained.
    public struct Hyperparameters: Codable, Sendable, DefaultInitializable {
        /// Height and width of the images, in pixels.
        public var imageSize = 8
        /// Numbers of noise behind an image.
        public var latent = 16
        /// Width of the hidden layers.
        public var hidden = 128
        /// The learning rate of both optimizers.
        public var learningRate = 1e-3

        /// The defaults suit 8 × 8 digits.
        public init() {}
    }

    /// What these networks were built from.
    public let hyperparameters: Hyperparameters
    private let generator: Sequential
    private let discriminator: Sequential

    /// Builds both networks.
    public init(_ hyperparameters: Hyperparameters) {
        let settings = hyperparameters
        let pixels = settings.imageSize * settings.imageSize
        self.hyperparameters = settings
        generator = Sequential {
            Linear(settings.latent, settings.hidden)
            ReLU()
            Linear(settings.hidden, pixels)
            Sigmoid()
        }
        discriminator = Sequential {
            Linear(pixels, settings.hidden)
            ReLU()
            Linear(settings.hidden, 1)
        }
        super.init()
    }

    /// Noise for 64 images, the same in each run.
    public override var exampleInputArray: Tensor? {
        var stream = RandomStream(seed: 0, purpose: .user)
        return stream.normals([64, hyperparameters.latent])
    }

    /// Images of noise: `[samples, latent]` to `[samples, pixels]`, between 0 and 1.
    public func callAsFunction(_ noise: Tensor) -> Tensor { generator(noise) }

    private func noise(_ count: Int) -> Tensor {
        let latent = hyperparameters.latent
        return RandomContext.current.draw(.user) { $0.normals([count, latent]) }
    }

    /// How far from `answer` the discriminator is on some images.
    private func loss(_ images: Tensor, answer: Double) -> Tensor {
        let logits = discriminator(images)
        return binaryCrossEntropy(logits: logits, Tensor(filling: answer, shape: logits.shape))
    }

    /// The generator learns to be taken for real, then the discriminator to tell.
    public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws {
        let (generatorOptimizer, discriminatorOptimizer) = (optimizers()[0], optimizers()[1])
        let noise = noise(batch.sampleCount)

        try withToggledOptimizer(generatorOptimizer) {
            let generatorLoss = loss(self(noise), answer: 1)
            generatorOptimizer.zeroGradients()
            try manualBackward(generatorLoss)
            try generatorOptimizer.step()
            log("generator_loss", generatorLoss, onEpoch: true, progressBar: true)
        }

        try withToggledOptimizer(discriminatorOptimizer) {
            let real = loss(batch.inputs.flattened(), answer: 1), drawn = loss(self(noise).detached, answer: 0)
            let discriminatorLoss = (real + drawn) / 2
            discriminatorOptimizer.zeroGradients()
            try manualBackward(discriminatorLoss)
            try discriminatorOptimizer.step()
            log("discriminator_loss", discriminatorLoss, onEpoch: true, progressBar: true)
        }
    }

    /// Logs `val_distance`: how far the mean drawn image is from the mean real one, in root mean square.
    public func validationStep(_ batch: LabeledBatch, batchIndex: Int) {
        let drawn = self(noise(batch.sampleCount)).mean(along: [0]), real = batch.inputs.flattened().mean(along: [0])
        log("val_distance", (drawn - real).squared().mean().item.squareRoot(), progressBar: true)
    }

    /// One optimizer for each network.
    public func configureOptimizers() -> [OptimizerConfiguration] {
        [generator, discriminator].map { network in
            .init(Adam(network.parameters, learningRate: hyperparameters.learningRate, betas: (0.5, 0.999)))
        }
    }
}
