import Lightning

/// A small convolutional network for grey images: two or three blocks of convolution and pooling, then a dense layer.
public final class ImageClassifier: LightningModule, HyperparameterModule, LogitsModule, PredictionModule, Layer {
    /// What the network looks like and how it is trained.
    public struct Hyperparameters: Codable, Sendable, DefaultInitializable {
        /// Height and width of the images, in pixels.
        public var imageSize = 8
        /// The number of classes.
        public var classes = 10
        /// Channels of the convolution blocks; each block but the first halves height and width.
        public var channels = [32, 64]
        /// Width of the dense layer.
        public var hidden = 128
        /// Share of the dense layer's activations dropped in training.
        public var dropout = 0.25
        /// The largest learning rate of AdamW.
        public var learningRate = 2e-3
        /// The weight decay of AdamW.
        public var weightDecay = 0.01
        /// Epochs over which the learning rate falls to 0 along a cosine.
        public var scheduleEpochs = 20

        /// The defaults suit 8 × 8 digits.
        public init() {}
    }

    /// What this network was built from.
    public let hyperparameters: Hyperparameters
    private let features: Sequential
    private let head: Sequential

    /// Builds the network.
    public init(_ hyperparameters: Hyperparameters) throws {
        let settings = hyperparameters
        guard !settings.channels.isEmpty, settings.imageSize >> (settings.channels.count - 1) > 0 else {
            throw TrainingError(
                "model.channels: \(settings.channels.count) blocks do not fit images of \(settings.imageSize) pixels")
        }
        self.hyperparameters = settings
        var size = settings.imageSize
        var inputs = 1
        var layers: [any Layer] = []
        for (block, outputs) in settings.channels.enumerated() {
            layers += [Conv2d(inputs, outputs, kernel: 3, padding: 1), ReLU()]
            if block > 0 {
                layers.append(MaxPool2d(2))
                size /= 2
            }
            inputs = outputs
        }
        features = Sequential(layers)
        head = Sequential {
            Flatten()
            Linear(inputs * size * size, settings.hidden)
            ReLU()
            Dropout(settings.dropout)
            Linear(settings.hidden, settings.classes)
        }
        super.init()
    }

    /// One grey image, for the summary.
    public override var exampleInputArray: Tensor? {
        .zeros([1, 1, hyperparameters.imageSize, hyperparameters.imageSize])
    }

    /// Logits for images: `[samples, 1, height, width]` to `[samples, classes]`.
    public func callAsFunction(_ images: Tensor) -> Tensor { head(features(images)) }

    /// The logits of images.
    public func logits(_ images: Tensor) -> Tensor { self(images) }

    /// The probabilities of the classes, `[samples, classes]`.
    public func predictStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor { self(batch.inputs).softmax() }

    /// AdamW along a cosine.
    public func configureOptimizers() throws -> OptimizerConfiguration {
        OptimizerConfiguration(
            AdamW(
                parameters, learningRate: hyperparameters.learningRate, weightDecay: hyperparameters.weightDecay),
            schedule: CosineSchedule(total: hyperparameters.scheduleEpochs), interval: .epoch)
    }
}
