import Foundation
import Lightning

/// The document's adversarial pair: a generator that draws digits from noise, and a discriminator that tells them from
/// real ones.
public final class DigitsGAN: LightningModule, HyperparameterModule, ManualTrainingModule, ValidationModule,
    Layer
{
    /// What the networks look like and how they are trained.
    public struct Hyperparameters: Codable, Sendable, DefaultInitializable {
        /// Height and width of the images, in pixels.
        public var imageSize = 8
        /// Numbers of noise behind an image.
        public var latent = 32
        /// Width of the hidden layers.
        public var hidden = 128
        /// Share of the discriminator's activations dropped in training.
        public var dropout = 0.3
        /// The learning rate of both optimizers.
        public var learningRate = 5e-4

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
            for inputs in [settings.latent, settings.hidden] {
                Linear(inputs, settings.hidden)
                BatchNorm(settings.hidden)
                ReLU()
            }
            Linear(settings.hidden, pixels)
            Sigmoid()
        }
        discriminator = Sequential {
            for inputs in [pixels, settings.hidden] {
                Linear(inputs, settings.hidden)
                LeakyReLU(slope: 0.2)
                Dropout(settings.dropout)
            }
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
        return Tensor.normals([count, latent])
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
            // Not quite sure of real images, the discriminator stays a teacher.
            let real = loss(batch.inputs.flattened(), answer: 0.9), drawn = loss(self(noise).detached, answer: 0)
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

    /// Draws the images of the example noise into `images/epoch_0001.png` of the run's directory, and so on.
    public override func onTrainEpochEnd() throws {
        let flags = trainer.configuration
        guard let exampleInputArray, trainer.isGlobalZero, flags.fastDevRun == 0, !flags.barebones else { return }
        let directory = try trainer.runDirectory() + "/images"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        evaluate()
        let images = withoutGradient { self(exampleInputArray) }
        train()
        let size = hyperparameters.imageSize
        let picture = imageGrid(images.reshaped(to: [-1, size, size]), columns: 8, magnification: 4)
        let name = String(format: "epoch_%04d.png", currentEpoch + 1)
        try Data(PNGImage.encode(picture)).write(to: URL(fileURLWithPath: "\(directory)/\(name)"))
    }

    /// One optimizer for each network.
    public func configureOptimizers() -> [OptimizerConfiguration] {
        [generator, discriminator].map { network in
            .init(Adam(network.parameters, learningRate: hyperparameters.learningRate, betas: (0.5, 0.999)))
        }
    }
}
