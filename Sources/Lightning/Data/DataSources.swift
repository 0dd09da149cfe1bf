import DataLoading

// What brings loaders: a data module, or a module itself. Each kind has its own type of batch.

/// Brings training data.
public protocol TrainingSource: AnyObject {
    /// What its loader yields.
    associatedtype TrainingBatch: DataBatch

    /// The training batches; asked for after `setup`.
    func trainDataLoader() throws -> DataLoader<TrainingBatch>
}

/// Brings validation data.
public protocol ValidationSource: AnyObject {
    /// What its loader yields.
    associatedtype ValidationBatch: DataBatch

    /// The validation batches; asked for after `setup`.
    ///
    /// For several data sets return `DataLoader(sequential: […])`.
    func validationDataLoader() throws -> DataLoader<ValidationBatch>
}

/// Brings test data.
public protocol TestSource: AnyObject {
    /// What its loader yields.
    associatedtype TestBatch: DataBatch

    /// The test batches; asked for after `setup`.
    func testDataLoader() throws -> DataLoader<TestBatch>
}

/// Brings data to predict for.
public protocol PredictionSource: AnyObject {
    /// What its loader yields.
    associatedtype PredictionBatch: DataBatch

    /// The batches to predict for; asked for after `setup`.
    func predictDataLoader() throws -> DataLoader<PredictionBatch>
}

/// A data module with training data.
public protocol TrainingData: LightningDataModule, TrainingSource {}

/// A data module with validation data.
public protocol ValidationData: LightningDataModule, ValidationSource {}

/// A data module with test data.
public protocol TestData: LightningDataModule, TestSource {}

/// A data module with data to predict for.
public protocol PredictionData: LightningDataModule, PredictionSource {}
