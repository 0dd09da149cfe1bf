import Lightning

/// The document's section "Inference in Production": one task for many models, which can be used without it.
///
/// A model is any ``Layer``. The document loads the task from a checkpoint without saying which model is in it; here
/// the model is given, being no hyperparameter.
public enum InferenceInProduction {
    /// Classification with any model.
    public final class ClassificationTask<Model: Layer>: LightningModule, SavedHyperparameters, TrainingModule,
        ValidationModule, TestModule, PredictionModule
    {
        /// What is saved: the model is not.
        public struct Hyperparameters: Codable, Sendable {
            /// The learning rate of Adam.
            public var learningRate = 0.02
            /// The document's.
            public init() {}
        }
        /// What this task was built from, beside the model.
        public let hyperparameters: Hyperparameters
        /// Logits for inputs.
        public let model: Model

        /// A task for a model.
        public init(_ model: Model, _ hyperparameters: Hyperparameters = .init()) {
            self.model = model
            self.hyperparameters = hyperparameters
            super.init()
        }

        /// The cross-entropy of a batch.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
            let (x, y) = (batch.inputs, batch.labels)
            let predicted = model(x)
            return crossEntropy(predicted, y)
        }

        /// Logs `val_acc` and `val_loss`.
        public func validationStep(_ batch: LabeledBatch, batchIndex: Int) -> [String: Tensor] {
            let (loss, accuracy) = sharedEvaluationStep(batch)
            let metrics = ["val_acc": accuracy, "val_loss": loss]
            logDictionary(metrics)
            return metrics
        }

        /// Logs `test_acc` and `test_loss`.
        public func testStep(_ batch: LabeledBatch, batchIndex: Int) -> [String: Tensor] {
            let (loss, accuracy) = sharedEvaluationStep(batch)
            let metrics = ["test_acc": accuracy, "test_loss": loss]
            logDictionary(metrics)
            return metrics
        }

        private func sharedEvaluationStep(_ batch: LabeledBatch) -> (Tensor, Tensor) {
            let (x, y) = (batch.inputs, batch.labels)
            let predicted = model(x)
            return (crossEntropy(predicted, y), accuracy(predicted, y))
        }

        /// The logits.
        public func predictStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor { model(batch.inputs) }

        /// Adam.
        public func configureOptimizers() -> OptimizerConfiguration {
            .init(Adam(model.parameters, learningRate: hyperparameters.learningRate))
        }
    }

    /// `for model in [resnet50(), vgg16(), BidirectionalRNN()]`: fits the task with each model.
    ///
    /// Images and sequences take loaders of their own; the learning rate is the document's, unless deep networks want a
    /// smaller one.
    ///
    /// - Returns: The validation's metrics for each.
    public static func fitEach(
        _ models: [any Layer], train: DataLoader<LabeledBatch>, validation: DataLoader<LabeledBatch>,
        epochs: Int, learningRate: Double = 0.02, in directory: String
    ) throws -> [[String: Double]] {
        func fit<Model: Layer>(_ model: Model) throws -> [String: Double] {
            var hyperparameters = ClassificationTask<Model>.Hyperparameters()
            hyperparameters.learningRate = learningRate
            let task = ClassificationTask(model, hyperparameters)

            let trainer = try Trainer(maxEpochs: epochs, defaultRootDir: directory)
            try trainer.fit(task, train: train, validation: validation)
            return trainer.callbackMetrics
        }
        return try models.map { try fit($0) }
    }

    /// Adversarial training of any two models: see the section on manual optimization.
    public final class GANTask<Generator: Layer, Discriminator: Layer>: LightningModule, ManualTrainingModule {
        /// Draws samples from noise.
        public let generator: Generator
        /// Tells them from real ones, with one logit.
        public let discriminator: Discriminator
        private let latent: Int

        /// A task for two models, of which the generator takes so many numbers of noise.
        public init(_ generator: Generator, _ discriminator: Discriminator, latent: Int) {
            (self.generator, self.discriminator, self.latent) = (generator, discriminator, latent)
            super.init()
        }

        private func loss(_ samples: Tensor, answer: Double) -> Tensor {
            let logits = discriminator(samples)
            return binaryCrossEntropy(logits: logits, Tensor(filling: answer, shape: logits.shape))
        }

        /// The generator learns to be taken for real, then the discriminator to tell.
        public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws {
            let (optimizerG, optimizerD) = (optimizers()[0], optimizers()[1])
            let shape: Shape = [batch.sampleCount, latent]
            let drawn = generator(Tensor.normals(shape))

            try withToggledOptimizer(optimizerG) {
                optimizerG.zeroGradients()
                try manualBackward(loss(drawn, answer: 1))
                try optimizerG.step()
            }
            try withToggledOptimizer(optimizerD) {
                optimizerD.zeroGradients()
                try manualBackward(loss(batch.inputs, answer: 1) + loss(drawn.detached, answer: 0))
                try optimizerD.step()
            }
        }

        /// One optimizer for each model.
        public func configureOptimizers() -> [OptimizerConfiguration] {
            [generator.parameters, discriminator.parameters].map {
                .init(Adam($0, learningRate: 5e-3, betas: (0.5, 0.999)))
            }
        }
    }

    /// "The following example shows how you can run inference in the runtime": trains and saves a task.
    public static func trainForProduction(
        _ model: some Layer, train: DataLoader<LabeledBatch>, validation: DataLoader<LabeledBatch>,
        in directory: String
    ) throws -> String {
        let task = ClassificationTask(model)
        let trainer = try Trainer(maxEpochs: 1, defaultRootDir: directory)
        try trainer.fit(task, train: train, validation: validation)
        try trainer.saveCheckpoint("\(directory)/best_model.h5")
        return "\(directory)/best_model.h5"
    }

    /// "Or load weights and drop into the production system": a model of the same kind with the task's weights.
    public static func infer<Model: Layer>(_ path: String, with model: Model, on x: Tensor) throws -> Tensor {
        let task = try ClassificationTask<Model>.load(fromCheckpoint: path) { ClassificationTask(model, $0) }
        let model = task.model
        model.evaluate()
        return withoutGradient { model(x) }
    }
}
