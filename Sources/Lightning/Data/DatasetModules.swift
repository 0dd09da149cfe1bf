import DataLoading

// One class for each more kind of data, so that what a data module cannot do does not compile.

/// A data module of a training set.
open class TrainingDatasets<Training: DataBatch>: LightningDataModule, TrainingData {
    private let training: DataLoader<Training>

    init(_ training: DataLoader<Training>) { self.training = training }

    /// The training batches.
    public func trainDataLoader() -> DataLoader<Training> { training }
}

/// A data module of sets for training and validation.
open class FitDatasets<Training: DataBatch, Validation: DataBatch>: TrainingDatasets<Training>, ValidationData {
    private let validation: DataLoader<Validation>

    init(_ training: DataLoader<Training>, _ validation: DataLoader<Validation>) {
        self.validation = validation
        super.init(training)
    }

    /// The validation batches.
    public func validationDataLoader() -> DataLoader<Validation> { validation }
}

/// A data module of sets for training, validation and test.
open class FitAndTestDatasets<Training: DataBatch, Validation: DataBatch, Test: DataBatch>: FitDatasets<
    Training, Validation
>, TestData
{
    private let test: DataLoader<Test>

    init(_ training: DataLoader<Training>, _ validation: DataLoader<Validation>, _ test: DataLoader<Test>) {
        self.test = test
        super.init(training, validation)
    }

    /// The test batches.
    public func testDataLoader() -> DataLoader<Test> { test }
}

/// A data module of sets for everything.
public final class AllDatasets<
    Training: DataBatch, Validation: DataBatch, Test: DataBatch, Prediction: DataBatch
>: FitAndTestDatasets<Training, Validation, Test>, PredictionData {
    private let prediction: DataLoader<Prediction>

    init(
        _ training: DataLoader<Training>, _ validation: DataLoader<Validation>, _ test: DataLoader<Test>,
        _ prediction: DataLoader<Prediction>
    ) {
        self.prediction = prediction
        super.init(training, validation, test)
    }

    /// The batches to predict for.
    public func predictDataLoader() -> DataLoader<Prediction> { prediction }
}

extension LightningDataModule {
    /// A data module of a training set.
    public static func fromDatasets<T: Dataset>(train: T, batchSize: BatchSize = 1) -> TrainingDatasets<T.Batch> {
        TrainingDatasets(DataLoader(train, batchSize: batchSize))
    }

    /// A data module of sets for training and validation.
    public static func fromDatasets<T: Dataset, V: Dataset>(
        train: T, validation: V, batchSize: BatchSize = 1
    ) -> FitDatasets<T.Batch, V.Batch> {
        FitDatasets(DataLoader(train, batchSize: batchSize), DataLoader(validation, batchSize: batchSize))
    }

    /// A data module of sets for training, validation and test.
    public static func fromDatasets<T: Dataset, V: Dataset, E: Dataset>(
        train: T, validation: V, test: E, batchSize: BatchSize = 1
    ) -> FitAndTestDatasets<T.Batch, V.Batch, E.Batch> {
        FitAndTestDatasets(
            DataLoader(train, batchSize: batchSize), DataLoader(validation, batchSize: batchSize),
            DataLoader(test, batchSize: batchSize))
    }

    /// A data module of sets for training, validation, test and prediction.
    public static func fromDatasets<T: Dataset, V: Dataset, E: Dataset, P: Dataset>(
        train: T, validation: V, test: E, predict: P, batchSize: BatchSize = 1
    ) -> AllDatasets<T.Batch, V.Batch, E.Batch, P.Batch> {
        AllDatasets(
            DataLoader(train, batchSize: batchSize), DataLoader(validation, batchSize: batchSize),
            DataLoader(test, batchSize: batchSize), DataLoader(predict, batchSize: batchSize))
    }
}
