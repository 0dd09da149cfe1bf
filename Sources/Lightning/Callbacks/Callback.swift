import NN
import Optimizers
import Tensors

/// Code that runs at moments of a run and is not part of the model.
///
/// Subclass it and override what is needed. Callbacks run in the order given, before the module's hook of the same
/// name; checkpoint callbacks run last.
open class Callback {
    /// Distinguishes this callback's state from other callbacks' in a checkpoint.
    open var stateKey: String { String(describing: Self.self) }

    /// A callback.
    public init() {}

    /// What a checkpoint holds of this callback: JSON text, or nil for nothing.
    open func saveState() throws -> String? { nil }
    /// Restores what ``saveState()`` gave.
    open func loadState(_ state: String) throws {}

    /// Before the module's `setup`.
    open func setup(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {}
    /// Before the module's `teardown`.
    open func teardown(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {}
    /// A run failed; the error is thrown on afterwards.
    open func onException(_ trainer: Trainer, _ module: LightningModule, _ error: any Error) {}

    /// Before everything else of a fit.
    open func onFitStart(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// After everything else of a fit.
    open func onFitEnd(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// Before the few validation batches that try the code out.
    open func onSanityCheckStart(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// After them.
    open func onSanityCheckEnd(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// Before the first epoch.
    open func onTrainStart(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// After the last epoch.
    open func onTrainEnd(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// Before the batches of an epoch.
    open func onTrainEpochStart(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// After the batches of an epoch and its validation.
    open func onTrainEpochEnd(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// Before a batch.
    ///
    /// - Throws: ``SkipRestOfEpoch`` to leave out this batch and those after it.
    open func onTrainBatchStart(
        _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int
    ) throws {}
    /// After a batch and its optimizer step.
    open func onTrainBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ loss: Tensor?, batch: any DataBatch, batchIndex: Int
    ) throws {}

    /// Before gradients are cleared.
    open func onBeforeZeroGrad(_ trainer: Trainer, _ module: LightningModule, _ optimizer: Optimizer) throws {}
    /// Before the backward pass.
    open func onBeforeBackward(_ trainer: Trainer, _ module: LightningModule, _ loss: Tensor) throws {}
    /// After the backward pass.
    open func onAfterBackward(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// Before gradients are clipped and applied.
    open func onBeforeOptimizerStep(_ trainer: Trainer, _ module: LightningModule, _ optimizer: Optimizer) throws {}

    /// Before a validation.
    open func onValidationStart(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// After a validation.
    open func onValidationEnd(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// Before the batches of a validation.
    open func onValidationEpochStart(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// After the batches of a validation.
    open func onValidationEpochEnd(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// Before a validation batch.
    open func onValidationBatchStart(
        _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) throws {}
    /// After a validation batch; `output` is what the module's step returned.
    open func onValidationBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ output: Any, batch: any DataBatch, batchIndex: Int,
        dataLoaderIndex: Int
    ) throws {}

    /// Before a test.
    open func onTestStart(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// After a test.
    open func onTestEnd(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// Before the batches of a test.
    open func onTestEpochStart(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// After the batches of a test.
    open func onTestEpochEnd(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// Before a test batch.
    open func onTestBatchStart(
        _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) throws {}
    /// After a test batch; `output` is what the module's step returned.
    open func onTestBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ output: Any, batch: any DataBatch, batchIndex: Int,
        dataLoaderIndex: Int
    ) throws {}

    /// Before a prediction.
    open func onPredictStart(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// After a prediction.
    open func onPredictEnd(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// Before the batches of a prediction.
    open func onPredictEpochStart(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// After the batches of a prediction.
    open func onPredictEpochEnd(_ trainer: Trainer, _ module: LightningModule) throws {}
    /// Before a prediction batch.
    open func onPredictBatchStart(
        _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) throws {}
    /// After a prediction batch; `output` is what the module's step returned, this rank's predictions.
    open func onPredictBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ output: Any, batch: any DataBatch, batchIndex: Int,
        dataLoaderIndex: Int
    ) throws {}

    /// Metrics are final, those of an optimizer step apart, and the same on all ranks, and progress is at a place to resume from: the moment to monitor
    /// and to save.
    open func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) throws {}

    /// Adds to a checkpoint that is about to be written.
    open func onSaveCheckpoint(_ trainer: Trainer, _ module: LightningModule, _ checkpoint: inout Checkpoint) throws {}
    /// Reads from a checkpoint that is being restored.
    open func onLoadCheckpoint(_ trainer: Trainer, _ module: LightningModule, _ checkpoint: Checkpoint) throws {}
}

/// After what metrics are final.
public enum MetricsMoment: Sendable, Equatable {
    /// An optimizer step.
    case optimizerStep
    /// A validation inside an epoch.
    case validation
    /// An epoch with its validation.
    case epoch
}
