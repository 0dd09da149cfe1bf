import DataLoading
import Optimizers
import Tensors

// Each protocol has its own type of batch, found by the compiler from the signature of the step: a module may train on
// labelled data and predict on data without labels.

/// A module that can be trained, in one of two ways: as a ``TrainingModule`` or as a ``ManualTrainingModule``.
public protocol TrainableModule<TrainingBatch>: LightningModule {
    /// What the training step receives.
    associatedtype TrainingBatch: DataBatch
}

/// A module that can be trained: it says what the loss is, and the trainer does the rest.
///
/// There is one optimizer; with several, which one follows what must be said: ``ManualTrainingModule``.
public protocol TrainingModule<TrainingBatch>: TrainableModule {
    /// What the step receives.
    associatedtype TrainingBatch  // again, so that it is inferred from the step

    /// The loss of a batch: a scalar, the mean over its samples.
    ///
    /// - Throws: ``SkipBatch`` to leave the batch out; on many ranks the others go on without it.
    func trainingStep(_ batch: TrainingBatch, batchIndex: Int) throws -> Tensor

    /// The optimizer, and when its learning rate changes.
    func configureOptimizers() throws -> OptimizerConfiguration
}

/// A module that can be validated.
public protocol ValidationModule: LightningModule {
    /// What the step receives.
    associatedtype ValidationBatch: DataBatch
    /// What the step returns for the hooks after the batch, if anything.
    associatedtype ValidationOutput

    /// Evaluates a batch; what it logs is averaged over all samples of all ranks.
    func validationStep(_ batch: ValidationBatch, batchIndex: Int) throws -> ValidationOutput
}

/// A module that can be tested.
public protocol TestModule: LightningModule {
    /// What the step receives.
    associatedtype TestBatch: DataBatch
    /// What the step returns for the hooks after the batch, if anything.
    associatedtype TestOutput

    /// Evaluates a batch; what it logs is averaged over all samples of all ranks.
    func testStep(_ batch: TestBatch, batchIndex: Int) throws -> TestOutput
}

/// A module that can predict.
public protocol PredictionModule: LightningModule {
    /// What the step receives.
    associatedtype PredictionBatch: DataBatch

    /// The prediction for a batch: one row per sample.
    func predictStep(_ batch: PredictionBatch, batchIndex: Int) throws -> Tensor
}

/// A module whose hyperparameters are saved with it, in checkpoints and by loggers.
///
/// What is not in the struct is not saved, and is given again when the module is loaded: see
/// ``load(fromCheckpoint:hyperparametersFile:build:)``.
public protocol SavedHyperparameters: LightningModule {
    /// What is saved.
    associatedtype Hyperparameters: Codable & Sendable
    /// What this module was built from.
    var hyperparameters: Hyperparameters { get }
}

/// A module that its hyperparameters rebuild.
public protocol HyperparameterModule: SavedHyperparameters {
    /// Everything needed to build the module again.
    associatedtype Hyperparameters  // again, so that it is inferred from the initializer
    /// Builds the module.
    init(_ hyperparameters: Hyperparameters) throws
}

/// Thrown by a training step to leave its batch out.
public struct SkipBatch: Error {
    /// A request to go on with the next batch.
    public init() {}
}

/// Thrown by `onTrainBatchStart` to leave out its batch and the rest of the epoch.
///
/// The epoch ends then, without a validation. On many ranks the present batches of the others still count; when
/// gradients are accumulated, the window they are in does. All ranks end the epoch after the same batch. With a
/// ``ManualTrainingModule`` all ranks must ask for it at the same batch.
public struct SkipRestOfEpoch: Error {
    /// A request to go on with the next epoch.
    public init() {}
}

/// An optimizer with the schedules of its learning rate.
public struct OptimizerConfiguration {
    /// The optimizer.
    public var optimizer: Optimizer
    /// Its schedules; their factors multiply.
    public var schedules: [ScheduleConfiguration]

    /// An optimizer, with or without schedules.
    public init(_ optimizer: Optimizer, schedules: [ScheduleConfiguration] = []) {
        self.optimizer = optimizer
        self.schedules = schedules
    }

    /// An optimizer with one schedule.
    public init(
        _ optimizer: Optimizer, schedule: any LearningRateSchedule, interval: ScheduleConfiguration.Interval = .epoch,
        frequency: Int = 1
    ) {
        self.init(optimizer, schedules: [ScheduleConfiguration(schedule, interval: interval, frequency: frequency)])
    }

    /// An optimizer with one schedule that watches a logged metric, after each validation.
    public init(_ optimizer: Optimizer, plateau: PlateauSchedule, monitor: String, strict: Bool = true) {
        self.init(optimizer, schedules: [ScheduleConfiguration(plateau: plateau, monitor: monitor, strict: strict)])
    }
}

/// When a schedule takes a step.
public struct ScheduleConfiguration {
    /// What a schedule counts.
    public enum Interval: String, Sendable, Codable, CaseIterable {
        /// Optimizer steps.
        case step
        /// Epochs.
        case epoch
        /// Validations; the interval of schedules that monitor a metric.
        case validation
    }

    /// The two kinds of schedule.
    enum Kind {
        case function(any LearningRateSchedule)
        case plateau(PlateauSchedule, monitor: String, strict: Bool)
    }

    let kind: Kind
    /// What it counts.
    public let interval: Interval
    /// How many of those make a step of the schedule.
    public let frequency: Int
    /// A name for logs.
    public let name: String?

    /// A schedule that is a function of time.
    public init(
        _ schedule: any LearningRateSchedule, interval: Interval = .epoch, frequency: Int = 1, name: String? = nil
    ) {
        precondition(frequency > 0, "a schedule steps every one or more intervals")
        kind = .function(schedule)
        self.interval = interval
        self.frequency = frequency
        self.name = name
    }

    /// A schedule that watches a logged metric, after each validation or epoch.
    ///
    /// - Parameters:
    ///   - plateau: The schedule.
    ///   - monitor: The metric.
    ///   - interval: `.validation` or `.epoch`; values of single steps are not the same on all ranks.
    ///   - frequency: How many of those make a look at the metric.
    ///   - strict: Whether it is an error when nothing logs the metric; otherwise the schedule waits for it.
    ///   - name: A name for logs.
    public init(
        plateau: PlateauSchedule, monitor: String, interval: Interval = .validation, frequency: Int = 1,
        strict: Bool = true, name: String? = nil
    ) {
        precondition(frequency > 0 && interval != .step, "a plateau schedule counts validations or epochs")
        kind = .plateau(plateau, monitor: monitor, strict: strict)
        self.interval = interval
        self.frequency = frequency
        self.name = name
    }
}

/// A mistake in how training was asked for, or something that makes it senseless to go on.
public struct TrainingError: Error, CustomStringConvertible {
    /// What happened, where, and what to do.
    public let description: String
    /// An error with its message.
    public init(_ description: String) { self.description = description }
}
