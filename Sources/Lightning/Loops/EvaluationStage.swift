import NN
import Tensors

/// What an evaluation is for, and its hooks: validation, test and prediction pass through the same moments.
struct EvaluationStage {
    typealias ModuleHook = (LightningModule) -> () throws -> Void
    /// A hook of the module alone.
    typealias ModeChange = (name: Hook, module: ModuleHook)
    /// A moment's hook of the callbacks, and the module's.
    typealias Moment = (
        name: Hook, callback: (Callback) -> (Trainer, LightningModule) throws -> Void, module: ModuleHook
    )
    /// The same before a batch, whose index and data loader are given.
    typealias BatchStart = (
        name: Hook,
        callback: (Callback) -> (Trainer, LightningModule, any DataBatch, Int, Int) throws -> Void,
        module: (LightningModule) -> (any DataBatch, Int, Int) throws -> Void
    )
    /// The same after a batch, with what the step returned before it.
    typealias BatchEnd = (
        name: Hook,
        callback: (Callback) -> (Trainer, LightningModule, Any, any DataBatch, Int, Int) throws -> Void,
        module: (LightningModule) -> (Any, any DataBatch, Int, Int) throws -> Void
    )

    /// What messages call it.
    let name: String
    /// The flag that limits its batches.
    let limitFlag: String
    /// Where values logged in its hooks belong.
    let scope: LoggingScope
    let modelEvaluate: ModeChange
    let start: Moment
    let epochStart: Moment
    let batchStart: BatchStart
    let batchEnd: BatchEnd
    let epochEnd: Moment
    let end: Moment
    let modelTrain: ModeChange

    static var validation: EvaluationStage {
        EvaluationStage(
            name: "validation", limitFlag: "limitValidationBatches", scope: .evaluation,
            modelEvaluate: (.onValidationModelEvaluate, LightningModule.onValidationModelEvaluate),
            start: (.onValidationStart, Callback.onValidationStart, LightningModule.onValidationStart),
            epochStart: (
                .onValidationEpochStart, Callback.onValidationEpochStart, LightningModule.onValidationEpochStart
            ),
            batchStart: (
                .onValidationBatchStart, Callback.onValidationBatchStart, LightningModule.onValidationBatchStart
            ),
            batchEnd: (.onValidationBatchEnd, Callback.onValidationBatchEnd, LightningModule.onValidationBatchEnd),
            epochEnd: (.onValidationEpochEnd, Callback.onValidationEpochEnd, LightningModule.onValidationEpochEnd),
            end: (.onValidationEnd, Callback.onValidationEnd, LightningModule.onValidationEnd),
            modelTrain: (.onValidationModelTrain, LightningModule.onValidationModelTrain))
    }

    static var test: EvaluationStage {
        EvaluationStage(
            name: "test", limitFlag: "limitTestBatches", scope: .evaluation,
            modelEvaluate: (.onTestModelEvaluate, LightningModule.onTestModelEvaluate),
            start: (.onTestStart, Callback.onTestStart, LightningModule.onTestStart),
            epochStart: (.onTestEpochStart, Callback.onTestEpochStart, LightningModule.onTestEpochStart),
            batchStart: (.onTestBatchStart, Callback.onTestBatchStart, LightningModule.onTestBatchStart),
            batchEnd: (.onTestBatchEnd, Callback.onTestBatchEnd, LightningModule.onTestBatchEnd),
            epochEnd: (.onTestEpochEnd, Callback.onTestEpochEnd, LightningModule.onTestEpochEnd),
            end: (.onTestEnd, Callback.onTestEnd, LightningModule.onTestEnd),
            modelTrain: (.onTestModelTrain, LightningModule.onTestModelTrain))
    }

    static var prediction: EvaluationStage {
        EvaluationStage(
            name: "prediction", limitFlag: "limitPredictBatches", scope: .none("during prediction"),
            modelEvaluate: (.onPredictModelEvaluate, LightningModule.onPredictModelEvaluate),
            start: (.onPredictStart, Callback.onPredictStart, LightningModule.onPredictStart),
            epochStart: (.onPredictEpochStart, Callback.onPredictEpochStart, LightningModule.onPredictEpochStart),
            batchStart: (.onPredictBatchStart, Callback.onPredictBatchStart, LightningModule.onPredictBatchStart),
            batchEnd: (.onPredictBatchEnd, Callback.onPredictBatchEnd, LightningModule.onPredictBatchEnd),
            epochEnd: (.onPredictEpochEnd, Callback.onPredictEpochEnd, LightningModule.onPredictEpochEnd),
            end: (.onPredictEnd, Callback.onPredictEnd, LightningModule.onPredictEnd),
            modelTrain: (.onPredictModelTrain, LightningModule.onPredictModelTrain))
    }
}
