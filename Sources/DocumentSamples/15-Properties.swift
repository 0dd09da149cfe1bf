import Lightning

/// The document's section "Properties": what a module knows of its run, each in a training step.
///
/// Properties have values without a trainer too, so that steps can be tried alone; only `trainer` itself demands one.
public final class Properties: LightningModule, HyperparameterModule, TrainingModule {
    /// The arguments that are saved.
    public struct Hyperparameters: Codable, Sendable {
        /// The learning rate of Adam.
        public var learningRate: Double
        /// So large a learning rate.
        public init(learningRate: Double) { self.learningRate = learningRate }
    }
    /// `hparams`.
    public let hyperparameters: Hyperparameters
    private let layer = Linear(64, 10)
    /// What was done, in order: `first epoch`, `global rank 0`, `local rank 0`, `bfloat16`.
    public private(set) var done: [String] = []
    /// The noise of the last step.
    public private(set) var noise: Tensor?
    /// The limit on steps that the trainer has.
    public private(set) var maxSteps: Int?

    /// A module with this learning rate.
    public init(_ hyperparameters: Hyperparameters) {
        self.hyperparameters = hyperparameters
        super.init()
    }

    /// `prepare_data_per_node`: false calls `prepareData` once for the whole job.
    public override var prepareDataPerNode: Bool { false }

    /// Called on one rank.
    public override func prepareData() { done.append("prepared data") }

    /// Uses each property as the document does.
    public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
        // current_epoch
        if currentEpoch == 0 { done.append("first epoch") }

        // device: there is one, and new tensors are there
        if device == .cpu { noise = Tensor.normals([2, 3]) }

        // global_rank
        if globalRank == 0 {
            // do something only once across all the nodes
            done.append("global rank 0")
        }

        // global_step
        for case let board as TensorBoardLogger in loggers {
            try board.logImage("digit", batch.inputs[0], step: globalStep)
        }

        // logger: the generic logger (the same no matter if TensorBoard or another)
        try logger?.log(record("generic"))

        // the particular logger
        if let tensorBoardLogger = logger as? TensorBoardLogger {
            try tensorBoardLogger.logText("text", "step \(globalStep)", step: globalStep)
        }

        // loggers: list of logger objects, on rank 0; empty on others
        for logger in loggers { try logger.log(record("foo")) }

        // local_rank
        if localRank == 0 {
            // do something only once across each node
            done.append("local rank 0")
        }

        // precision
        if precision == .bfloat16True { done.append("bfloat16") }

        // trainer
        maxSteps = trainer.configuration.maxSteps
        return crossEntropy(layer(batch.inputs.flattened()), batch.labels)
    }

    private func record(_ name: String) -> MetricRecord {
        let progress = trainer.progress
        return MetricRecord(
            epoch: currentEpoch, batch: progress.batch, step: globalStep, samples: progress.samples,
            seconds: trainer.seconds, values: [(name, 1)])
    }

    /// Adam, with the learning rate of the hyperparameters.
    public func configureOptimizers() -> OptimizerConfiguration {
        .init(Adam(parameters, learningRate: hyperparameters.learningRate))
    }
}
