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
}

/// A data module with training data.
public protocol TrainingData: LightningDataModule {
    /// What its loader yields.
    associatedtype TrainingBatch: DataBatch

    /// The training batches; asked for after `setup`.
    func trainDataLoader() throws -> DataLoader<TrainingBatch>
}

/// A data module with validation data.
public protocol ValidationData: LightningDataModule {
    /// What its loader yields.
    associatedtype ValidationBatch: DataBatch

    /// The validation batches; asked for after `setup`.
    func validationDataLoader() throws -> DataLoader<ValidationBatch>
}

/// A data module with test data.
public protocol TestData: LightningDataModule {
    /// What its loader yields.
    associatedtype TestBatch: DataBatch

    /// The test batches; asked for after `setup`.
    func testDataLoader() throws -> DataLoader<TestBatch>
}

/// A data module with data to predict for.
public protocol PredictionData: LightningDataModule {
    /// What its loader yields.
    associatedtype PredictionBatch: DataBatch

    /// The batches to predict for; asked for after `setup`.
    func predictDataLoader() throws -> DataLoader<PredictionBatch>
}
