import Lightning

/// The document's section "LightningModule": what a module is, in four blocks.
///
/// The trainer is given the data, too: a compiler can then tell that it fits the module.
public enum LightningModuleSamples {
    /// A network of one layer.
    public final class Net: LightningModule, HyperparameterModule, Layer, TrainingModule {
        /// The widths of input and output.
        public struct Hyperparameters: Codable, Sendable {
            /// Numbers of an input.
            public var inputs: Int
            /// Numbers of an output.
            public var outputs: Int
            /// Both widths.
            public init(inputs: Int, outputs: Int) { (self.inputs, self.outputs) = (inputs, outputs) }
        }
        /// What this network was built from.
        public let hyperparameters: Hyperparameters
        /// The layer.
        public let layer: Linear
        /// The types of tensors made in the training step.
        public private(set) var types: Set<DType> = []

        /// Builds the network.
        public init(_ hyperparameters: Hyperparameters) {
            self.hyperparameters = hyperparameters
            layer = Linear(hyperparameters.inputs, hyperparameters.outputs)
            super.init()
        }

        /// Applies the layer.
        public func callAsFunction(_ input: Tensor) -> Tensor { layer(input) }

        /// The cross-entropy; the tensors in it are where they belong.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
            let newX = tensorsStayWhereTheyAre(batch.inputs)
            types.formUnion([batch.inputs.dtype, newX.dtype, Tensor.zeros([2, 3]).dtype])
            return crossEntropy(self(batch.inputs), batch.labels)
        }

        /// Plain SGD.
        public func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
    }

    /// `net = MyLightningModuleNet(); trainer = Trainer(); trainer.fit(net)`.
    public static func fit(_ net: Net, _ data: DataLoader<LabeledBatch>, in directory: String) throws -> Trainer {
        let trainer = try Trainer(maxEpochs: 1, defaultRootDir: directory)
        try trainer.fit(net, train: data)
        return trainer
    }

    /// `new_x = torch.Tensor(2, 3).to(x)`: there is one device, and a tensor made in a step has the run's precision
    /// already.
    public static func tensorsStayWhereTheyAre(_ x: Tensor) -> Tensor {
        // Leave x alone! Or, to make a new tensor of the type of another:
        Tensor.zeros([2, 3], dtype: x.dtype)
    }

    /// `DataLoader(data)`, and no `DistributedSampler`: each rank is given its own samples.
    public static func loader(_ data: some Dataset<LabeledBatch>) -> DataLoader<LabeledBatch> {
        DataLoader(data, batchSize: 1)
    }

    /// `net = Net.load_from_checkpoint(PATH); net.freeze(); out = net(x)`.
    public static func use(_ path: String, on x: Tensor) throws -> Tensor {
        let net = try Net.load(fromCheckpoint: path)
        net.freeze()
        return net(x)
    }
}
