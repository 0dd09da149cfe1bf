import Checkpoints
import DataLoading

/// Where a run's data comes from: what to fetch once, what each rank sets up, and the loaders.
///
/// Subclass it and conform to ``TrainingData``, ``ValidationData``, ``TestData`` or ``PredictionData``.
open class LightningDataModule {
    /// The trainer of the present run.
    public internal(set) final weak var trainer: Trainer?

    /// Whether ``prepareData()`` runs once per node (true) or once for the whole job.
    open var prepareDataPerNode: Bool { true }

    /// A data module.
    public init() {}

    /// Fetches or converts data; runs on one rank per node (or of the job) while the others wait.
    ///
    /// Set no state here.
    open func prepareData() throws {}
    /// Prepares this rank, such as opening files.
    open func setup(_ stage: RunStage) throws {}
    /// Cleans up after a run that succeeded.
    open func teardown(_ stage: RunStage) throws {}
    /// Changes a batch before it is transferred, instead of the module's hook; nil leaves it to that.
    open func onBeforeBatchTransfer(_ batch: any DataBatch, dataLoaderIndex: Int) throws -> (any DataBatch)? { nil }
    /// Moves a batch to where the model is, instead of the module's hook; nil leaves it to that.
    open func transferBatchToDevice(_ batch: any DataBatch, dataLoaderIndex: Int) throws -> (any DataBatch)? { nil }
    /// Changes a batch after it was transferred, instead of the module's hook; nil leaves it to that.
    open func onAfterBatchTransfer(_ batch: any DataBatch, dataLoaderIndex: Int) throws -> (any DataBatch)? { nil }

    /// After a run failed, or was ended by a signal.
    open func onException(_ error: any Error) {}

    /// What a checkpoint holds of this data module: JSON text, or nil for nothing.
    ///
    /// The place in an epoch is part of every checkpoint, and need not be here.
    open func saveState() throws -> String? { nil }
    /// Restores what ``saveState()`` gave; called after `setup`, before loaders are asked for.
    open func loadState(_ state: String) throws {}
}

/// A data module whose hyperparameters are saved with the model and rebuild it.
public protocol HyperparameterDataModule: LightningDataModule {
    /// Everything needed to build the data module again.
    associatedtype Hyperparameters: Codable & Sendable
    /// What this data module was built from.
    var hyperparameters: Hyperparameters { get }
    /// Builds the data module.
    init(_ hyperparameters: Hyperparameters) throws
}

extension HyperparameterDataModule {
    /// Builds the data module of a checkpoint with its hyperparameters.
    ///
    /// - Parameters:
    ///   - path: The checkpoint.
    ///   - override: Changes hyperparameters before the data module is built.
    /// - Throws: ``CheckpointError`` when the file holds none.
    public static func load(
        fromCheckpoint path: String, override: (inout Hyperparameters) -> Void = { _ in }
    ) throws -> Self {
        let checkpoint = try Checkpoint.read(from: path, weightsOnly: true)
        guard var hyperparameters: Hyperparameters = try checkpoint.get("data hyperparameters") else {
            throw CheckpointError("\(path) holds no hyperparameters of a data module; build it yourself")
        }
        override(&hyperparameters)
        return try Self(hyperparameters)
    }
}
