/// What takes time in a run and is no hook; the profile calls it by the case's name.
enum RunPart: Int, CaseIterable {
    case runTrainingEpoch, nextTrainingBatch, runTrainingBatch, transferBatchToDevice, trainingStep, backward
    /// What is left to do for the sums of gradients when the backward pass is over.
    case finishGradients
    case optimizerStep
    case runEvaluation, nextEvaluationBatch, evaluationStep
    case reduceMetrics, logMetrics, saveCheckpoint, loadCheckpoint
    /// All that this thread spends in collectives, wherever: waiting for others, and the work itself.
    case waitForCollectives
    /// The part of it in which the other ranks of the node have not come yet.
    case waitAtNodeBarrier
    case writeTrace
}

/// The hooks that callbacks and modules have; the profile calls one `[Callback]ModelCheckpoint.onTrainEnd`.
enum Hook: Int {
    case prepareData, setup, configureModel, configureOptimizers, teardown
    case onFitStart, onFitEnd, onSanityCheckStart, onSanityCheckEnd
    case onTrainStart, onTrainEnd, onTrainEpochStart, onTrainEpochEnd, onTrainBatchStart, onTrainBatchEnd
    case onBeforeZeroGrad, optimizerZeroGrad, onBeforeBackward, onAfterBackward
    case onBeforeOptimizerStep, configureGradientClipping
    case onValidationModelEvaluate, onValidationModelTrain, onValidationStart, onValidationEnd
    case onValidationEpochStart, onValidationEpochEnd, onValidationBatchStart, onValidationBatchEnd
    case onTestModelEvaluate, onTestModelTrain, onTestStart, onTestEnd
    case onTestEpochStart, onTestEpochEnd, onTestBatchStart, onTestBatchEnd
    case onPredictModelEvaluate, onPredictModelTrain, onPredictStart, onPredictEnd
    case onPredictEpochStart, onPredictEpochEnd, onPredictBatchStart, onPredictBatchEnd
    case onMetricsReady, onSaveCheckpoint, onLoadCheckpoint
}
