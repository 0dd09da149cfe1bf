import NN
import Tensors

/// What an evaluation is for, and its hooks: validation, test and prediction pass through the same moments.
struct EvaluationStage {
    typealias ModuleHook = (LightningModule) -> () throws -> Void
    /// A moment's hook of the callbacks, and the module's.
    typealias Moment = (callback: (Callback) -> (Trainer, LightningModule) throws -> Void, module: ModuleHook)
    /// The same before a batch, whose index and data loader are given.
    typealias BatchStart = (
        callback: (Callback) -> (Trainer, LightningModule, any DataBatch, Int, Int) throws -> Void,
        module: (LightningModule) -> (any DataBatch, Int, Int) throws -> Void
    )
    /// The same after a batch, with what the step returned before it.
    typealias BatchEnd = (
        callback: (Callback) -> (Trainer, LightningModule, Any, any DataBatch, Int, Int) throws -> Void,
        module: (LightningModule) -> (Any, any DataBatch, Int, Int) throws -> Void
    )

    /// What messages call it.
    let name: String
    /// The flag that limits its batches.
    let limitFlag: String
    /// Where values logged in its hooks belong.
    let scope: LoggingScope
    let modelEvaluate: ModuleHook
    let start: Moment
    let epochStart: Moment
    let batchStart: BatchStart
    let batchEnd: BatchEnd
    let epochEnd: Moment
    let end: Moment
    let modelTrain: ModuleHook

    static var validation: EvaluationStage {
        EvaluationStage(
            name: "validation", limitFlag: "limitValidationBatches", scope: .evaluation,
            modelEvaluate: LightningModule.onValidationModelEvaluate,
            start: (Callback.onValidationStart, LightningModule.onValidationStart),
            epochStart: (Callback.onValidationEpochStart, LightningModule.onValidationEpochStart),
            batchStart: (Callback.onValidationBatchStart, LightningModule.onValidationBatchStart),
            batchEnd: (Callback.onValidationBatchEnd, LightningModule.onValidationBatchEnd),
            epochEnd: (Callback.onValidationEpochEnd, LightningModule.onValidationEpochEnd),
            end: (Callback.onValidationEnd, LightningModule.onValidationEnd),
            modelTrain: LightningModule.onValidationModelTrain)
    }

    static var test: EvaluationStage {
        EvaluationStage(
            name: "test", limitFlag: "limitTestBatches", scope: .evaluation,
            modelEvaluate: LightningModule.onTestModelEvaluate,
            start: (Callback.onTestStart, LightningModule.onTestStart),
            epochStart: (Callback.onTestEpochStart, LightningModule.onTestEpochStart),
            batchStart: (Callback.onTestBatchStart, LightningModule.onTestBatchStart),
            batchEnd: (Callback.onTestBatchEnd, LightningModule.onTestBatchEnd),
            epochEnd: (Callback.onTestEpochEnd, LightningModule.onTestEpochEnd),
            end: (Callback.onTestEnd, LightningModule.onTestEnd),
            modelTrain: LightningModule.onTestModelTrain)
    }

    static var prediction: EvaluationStage {
        EvaluationStage(
            name: "prediction", limitFlag: "limitPredictBatches", scope: .none("during prediction"),
            modelEvaluate: LightningModule.onPredictModelEvaluate,
            start: (Callback.onPredictStart, LightningModule.onPredictStart),
            epochStart: (Callback.onPredictEpochStart, LightningModule.onPredictEpochStart),
            batchStart: (Callback.onPredictBatchStart, LightningModule.onPredictBatchStart),
            batchEnd: (Callback.onPredictBatchEnd, LightningModule.onPredictBatchEnd),
            epochEnd: (Callback.onPredictEpochEnd, LightningModule.onPredictEpochEnd),
            end: (Callback.onPredictEnd, LightningModule.onPredictEnd),
            modelTrain: LightningModule.onPredictModelTrain)
    }
}
