import Checkpoints
import Lightning

/// A training of a ``ToyModule``, as `key=value` arguments can say it.
public struct ToyRun {
    /// Flags of the trainer.
    public var trainer = Trainer.Configuration()
    /// Switches of the module.
    public var module = ToyModule.Hyperparameters()
    /// Training samples.
    public var samples = 24
    /// Samples of validation, test and prediction.
    public var heldOut = 11
    /// The size of batches.
    public var batch = BatchSize.global(4)
    /// What is saved.
    public var checkpoint: ModelCheckpoint?
    /// Other callbacks.
    public var callbacks: [Callback] = []
    /// Where the run's files go.
    public let directory: String
    /// A checkpoint to go on from.
    public var resuming: String?
    /// The sample that cannot be read.
    public var failing: Int?
    /// Whether samples are read ahead.
    public var prefetches = false
    /// How training samples are read.
    public var loading = ToyLoading.plain
    /// How samples of validation, test and prediction are read.
    public var heldOutLoading = ToyLoading.plain

    /// A short, quiet run.
    public init(directory: String) {
        self.directory = directory
        trainer.maxEpochs = 2
        trainer.enableProgressBar = false
        trainer.enableModelSummary = false
        trainer.enableCheckpointing = false
        trainer.logEverySteps = 1
        trainer.threads = 1
        trainer.defaultRootDir = directory
    }

    /// Samples in the way of training.
    public func loader(_ count: Int) -> DataLoader<NumberedBatch> { loader(count, loading) }

    /// Samples in the way of validation, test and prediction.
    public func heldOutLoader() -> DataLoader<NumberedBatch> { loader(heldOut, heldOutLoading) }

    private func loader(_ count: Int, _ loading: ToyLoading) -> DataLoader<NumberedBatch> {
        loading.loader(
            of: NumberedDataset(count: count, isInMemory: !prefetches, failing: failing), batch: batch,
            prefetches: prefetches)
    }

    /// A trainer with the flags and callbacks.
    public func makeTrainer() throws -> Trainer {
        try Trainer(configuration: trainer, callbacks: callbacks + (checkpoint.map { [$0] } ?? []))
    }

    /// Trains with validation.
    @discardableResult
    public func fit(_ prepare: (ToyModule, Trainer) -> Void = { _, _ in }) throws -> (Trainer, ToyModule) {
        let trainer = try makeTrainer()
        let module = try ToyModule(module)
        prepare(module, trainer)
        try trainer.fit(module, train: loader(samples), validation: heldOutLoader(), checkpoint: resuming)
        return (trainer, module)
    }
}
