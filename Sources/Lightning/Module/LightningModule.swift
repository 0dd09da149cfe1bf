import NN
import Optimizers
import Tensors

/// A model with the code of its training: the research, without the engineering.
///
/// Subclass it, keep layers in stored properties, and conform to ``TrainingModule``, ``ValidationModule``,
/// ``TestModule`` or ``PredictionModule`` for what the module can do. The hooks below are optional: override those you
/// need; one you misspell does not compile. Callbacks' hooks of the same name run first.
open class LightningModule: Module {
    /// The trainer of this module's last run; nil before the first, and once that trainer is gone: it is known weakly.
    public internal(set) final weak var attachedTrainer: Trainer?
    /// Which of several loaders the present evaluation batch comes from; 0 otherwise.
    public internal(set) final var dataLoaderIndex = 0
    /// Where the metrics that were logged are kept; emptied at the beginning of a run.
    final var metricNames: [ObjectIdentifier: String] = [:]

    /// Whether a trainer has given parameters and buffers the types of its precision.
    final var wasConverted = false

    /// Whether ``prepareData()`` runs once per node (true) or once for the whole job.
    open var prepareDataPerNode: Bool { true }

    /// Whether checkpoints must hold exactly the keys of this module.
    open var strictLoading: Bool { true }

    /// A batch of inputs like those the module is used with, for summaries.
    open var exampleInputArray: Tensor? { nil }

    /// A module without layers.
    public override init() { super.init() }

    // MARK: - Preparation

    /// Downloads or converts data; runs on one rank per node (or of the job) while the others wait.
    ///
    /// Set no state here.
    open func prepareData() throws {}
    /// Prepares this rank for a run, such as building data sets.
    open func setup(_ stage: RunStage) throws {}
    /// Makes layers that depend on data seen in ``setup(_:)``.
    ///
    /// Called in every run, so it must be repeatable.
    open func configureModel() throws {}
    /// Callbacks that belong to this module; each replaces the trainer's callbacks of the same class.
    open func configureCallbacks() -> [Callback] { [] }
    /// Cleans up after a run that succeeded.
    open func teardown(_ stage: RunStage) throws {}

    // MARK: - Fit

    /// Before everything else of a fit: data, model and optimizers are ready.
    open func onFitStart() throws {}
    /// After everything else of a fit.
    open func onFitEnd() throws {}
    /// Before the first epoch, after the sanity check.
    open func onTrainStart() throws {}
    /// After the last epoch.
    open func onTrainEnd() throws {}
    /// Before the batches of an epoch.
    open func onTrainEpochStart() throws {}
    /// After the batches of an epoch and its validation.
    open func onTrainEpochEnd() throws {}
    /// Before a batch.
    ///
    /// - Throws: ``SkipRestOfEpoch`` to leave out this batch and those after it.
    open func onTrainBatchStart(_ batch: any DataBatch, batchIndex: Int) throws {}
    /// After a batch and its optimizer step; `loss` is what the step returned.
    open func onTrainBatchEnd(_ loss: Tensor?, batch: any DataBatch, batchIndex: Int) throws {}

    // MARK: - Batches on their way

    /// Changes a batch before it is transferred.
    open func onBeforeBatchTransfer(_ batch: any DataBatch, dataLoaderIndex: Int) throws -> any DataBatch { batch }
    /// Moves a batch to where the model is.
    open func transferBatchToDevice(_ batch: any DataBatch, dataLoaderIndex: Int) throws -> any DataBatch { batch }
    /// Changes a batch after it was transferred, such as augmentation.
    open func onAfterBatchTransfer(_ batch: any DataBatch, dataLoaderIndex: Int) throws -> any DataBatch { batch }

    // MARK: - The optimizer step

    /// Before gradients are cleared.
    open func onBeforeZeroGrad(_ optimizer: Optimizer) throws {}
    /// Clears gradients.
    open func optimizerZeroGrad(epoch: Int, batchIndex: Int, optimizer: Optimizer) throws { optimizer.zeroGradients() }
    /// Before the backward pass; the loss is weighted as it will be differentiated.
    open func onBeforeBackward(_ loss: Tensor) throws {}
    /// The backward pass.
    open func backward(_ loss: Tensor) throws { loss.backward() }
    /// After the backward pass; at the end of an accumulation window gradients are averages over all samples, while in a
    /// ``ManualTrainingModule`` they are still this rank's own.
    open func onAfterBackward() throws {}
    /// Before gradients are clipped and applied.
    open func onBeforeOptimizerStep(_ optimizer: Optimizer) throws {}
    /// Clips gradients; by default as the trainer is configured.
    open func configureGradientClipping(_ optimizer: Optimizer, clipping: GradientClipping?) throws {
        clipping?.clip(optimizer.parameters)
    }
    /// Applies gradients.
    open func optimizerStep(epoch: Int, batchIndex: Int, optimizer: Optimizer) throws { optimizer.step() }

    // MARK: - Validation

    /// Puts the module in evaluation mode for validation.
    open func onValidationModelEvaluate() throws { evaluate() }
    /// Puts the module back in training mode after validation.
    ///
    /// The modes of all submodules were restored before.
    open func onValidationModelTrain() throws {}
    /// Before a validation.
    open func onValidationStart() throws {}
    /// After a validation.
    open func onValidationEnd() throws {}
    /// Before the batches of a validation.
    open func onValidationEpochStart() throws {}
    /// After the batches of a validation.
    open func onValidationEpochEnd() throws {}
    /// Before a validation batch.
    open func onValidationBatchStart(_ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int) throws {}
    /// After a validation batch; `output` is what the step returned.
    open func onValidationBatchEnd(
        _ output: Any, batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) throws {}

    // MARK: - Test

    /// Puts the module in evaluation mode for a test.
    open func onTestModelEvaluate() throws { evaluate() }
    /// After the modes of all submodules were restored.
    open func onTestModelTrain() throws {}
    /// Before a test.
    open func onTestStart() throws {}
    /// After a test.
    open func onTestEnd() throws {}
    /// Before the batches of a test.
    open func onTestEpochStart() throws {}
    /// After the batches of a test.
    open func onTestEpochEnd() throws {}
    /// Before a test batch.
    open func onTestBatchStart(_ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int) throws {}
    /// After a test batch; `output` is what the step returned.
    open func onTestBatchEnd(_ output: Any, batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int) throws {}

    // MARK: - Prediction

    /// Puts the module in evaluation mode for prediction.
    open func onPredictModelEvaluate() throws { evaluate() }
    /// After the modes of all submodules were restored.
    open func onPredictModelTrain() throws {}
    /// Before a prediction.
    open func onPredictStart() throws {}
    /// After a prediction.
    open func onPredictEnd() throws {}
    /// Before the batches of a prediction.
    open func onPredictEpochStart() throws {}
    /// After the batches of a prediction.
    open func onPredictEpochEnd() throws {}
    /// Before a prediction batch.
    open func onPredictBatchStart(_ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int) throws {}
    /// After a prediction batch; `output` is what the step returned, a tensor.
    open func onPredictBatchEnd(
        _ output: Any, batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) throws {}

    // MARK: - Checkpoints

    /// Adds to a checkpoint that is about to be written.
    open func onSaveCheckpoint(_ checkpoint: inout Checkpoint) throws {}
    /// Reads from a checkpoint before the weights are restored.
    open func onLoadCheckpoint(_ checkpoint: Checkpoint) throws {}
}
