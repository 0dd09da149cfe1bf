import Lightning

/// The document's section "Save Hyperparameters": what a module is built from goes into its checkpoints.
///
/// Swift has no call that looks at the arguments of its caller. What is saved is one `Codable` struct; what is left out
/// of it is excluded, and given again on loading.
public enum SaveHyperparameters {
    /// `self.save_hyperparameters()`: everything is saved.
    public final class LitMNIST: LightningModule, HyperparameterModule, Layer, TrainingModule {
        /// Call it `hparams`.
        public struct Hyperparameters: Codable, Sendable, Equatable {
            /// Width of the hidden layer.
            public var layer1Dim = 128
            /// The learning rate of SGD.
            public var learningRate = 1e-2
            /// `(layer_1_dim=128, learning_rate=1e-2)`.
            public init() {}
        }
        /// Saved in checkpoints and written by loggers.
        public let hyperparameters: Hyperparameters
        private let layers: Sequential

        /// Builds the network.
        public init(_ hyperparameters: Hyperparameters) {
            self.hyperparameters = hyperparameters
            // Now possible to access layer1Dim from hyperparameters
            layers = Sequential {
                Flatten()
                Linear(64, hyperparameters.layer1Dim)
                ReLU()
                Linear(hyperparameters.layer1Dim, 10)
            }
            super.init()
        }

        /// Logits.
        public func callAsFunction(_ input: Tensor) -> Tensor { layers(input) }
        /// The cross-entropy of a batch.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
            crossEntropy(self(batch.inputs), batch.labels)
        }
        /// Plain SGD.
        public func configureOptimizers() -> OptimizerConfiguration {
            .init(SGD(parameters, learningRate: hyperparameters.learningRate))
        }
    }

    /// `self.save_hyperparameters(ignore=["loss_fx", "generator_network"])`: a function and a module are not saved.
    public final class LitMNISTWithoutSome: LightningModule, SavedHyperparameters, TrainingModule {
        /// A loss as a function.
        public typealias Loss = (Tensor, Tensor) -> Tensor
        /// `self.save_hyperparameters("layer_1_dim")`.
        public struct Hyperparameters: Codable, Sendable, Equatable {
            /// Width of the hidden layer.
            public var layer1Dim = 128
            /// The default.
            public init() {}
        }
        /// Saved; the other arguments are not.
        public let hyperparameters: Hyperparameters
        /// The loss it was given.
        public let lossFunction: Loss
        /// The network it was given, whose weights are saved but not how to build it.
        public let generatorNetwork: any Layer
        private let output: Linear

        /// Builds the network.
        public init(
            lossFunction: @escaping Loss, generatorNetwork: any Layer, _ hyperparameters: Hyperparameters = .init()
        ) {
            self.hyperparameters = hyperparameters
            self.lossFunction = lossFunction
            self.generatorNetwork = generatorNetwork
            output = Linear(hyperparameters.layer1Dim, 10)
            super.init()
        }

        /// The loss of a batch.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
            lossFunction(output(generatorNetwork(batch.inputs.flattened())), batch.labels)
        }
        /// Plain SGD.
        public func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
    }

    /// Trains a module for a moment and saves it; its logger writes `hparams.yaml` beside it.
    ///
    /// - Returns: The checkpoint, and the file of hyperparameters.
    public static func save<M: TrainingModule<LabeledBatch>>(
        _ module: M, _ data: DataLoader<LabeledBatch>, in directory: String
    ) throws -> (checkpoint: String, hyperparameters: String) {
        let trainer = try Trainer(maxSteps: 2, defaultRootDir: directory)
        try trainer.fit(module, train: data)
        return (try trainer.checkpointPath("last"), try trainer.runDirectory() + "/hparams.yaml")
    }

    /// `LitMNIST.load_from_checkpoint(PATH)`.
    public static func load(_ path: String) throws -> LitMNIST { try LitMNIST.load(fromCheckpoint: path) }

    /// `LitMNIST.load_from_checkpoint(PATH, learning_rate=…)`: an argument replaces what was saved.
    public static func load(_ path: String, learningRate: Double) throws -> LitMNIST {
        try LitMNIST.load(fromCheckpoint: path) { $0.learningRate = learningRate }
    }

    /// `LitMNIST.load_from_checkpoint(PATH, hparams_file=…)`: a file replaces what was saved.
    public static func load(_ path: String, hyperparametersFile: String) throws -> LitMNIST {
        try LitMNIST.load(fromCheckpoint: path, hyperparametersFile: hyperparametersFile)
    }

    /// `LitMNIST.load_from_checkpoint(PATH, loss_fx=torch.nn.SomeOtherLoss, generator_network=MyGenerator())`.
    public static func load(
        _ path: String, lossFunction: @escaping LitMNISTWithoutSome.Loss, generatorNetwork: any Layer
    ) throws -> LitMNISTWithoutSome {
        // the excluded parameters were `lossFunction` and `generatorNetwork`
        try LitMNISTWithoutSome.load(fromCheckpoint: path) {
            LitMNISTWithoutSome(lossFunction: lossFunction, generatorNetwork: generatorNetwork, $0)
        }
    }
}
