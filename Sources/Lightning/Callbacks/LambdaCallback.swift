import NN
import Optimizers
import Tensors

/// A callback made of closures: `LambdaCallback(onTrainStart: { trainer, module in … })`.
public final class LambdaCallback: Callback {
    /// What is called with the trainer and the module.
    public typealias Hook = (Trainer, LightningModule) throws -> Void
    /// What is called with a batch and its index too.
    public typealias BatchHook = (Trainer, LightningModule, any DataBatch, Int) throws -> Void
    /// What is called with an optimizer too.
    public typealias OptimizerHook = (Trainer, LightningModule, Optimizer) throws -> Void

    private let hooks: [String: Hook]
    private let batchHooks: [String: BatchHook]
    private let optimizerHooks: [String: OptimizerHook]
    private let metricsHook: ((Trainer, LightningModule, MetricsMoment) throws -> Void)?
    private let exceptionHook: ((Trainer, LightningModule, any Error) -> Void)?

    /// A callback of the closures given; each is called as the hook of its name in ``Callback``.
    public init(
        onFitStart: Hook? = nil, onFitEnd: Hook? = nil, onSanityCheckStart: Hook? = nil, onSanityCheckEnd: Hook? = nil,
        onTrainStart: Hook? = nil, onTrainEnd: Hook? = nil, onTrainEpochStart: Hook? = nil,
        onTrainEpochEnd: Hook? = nil, onTrainBatchStart: BatchHook? = nil, onTrainBatchEnd: BatchHook? = nil,
        onAfterBackward: Hook? = nil, onBeforeZeroGrad: OptimizerHook? = nil,
        onBeforeOptimizerStep: OptimizerHook? = nil, onValidationStart: Hook? = nil, onValidationEnd: Hook? = nil,
        onValidationEpochStart: Hook? = nil, onValidationEpochEnd: Hook? = nil,
        onValidationBatchStart: BatchHook? = nil,
        onTestStart: Hook? = nil, onTestEnd: Hook? = nil, onTestEpochStart: Hook? = nil, onTestEpochEnd: Hook? = nil,
        onTestBatchStart: BatchHook? = nil, onPredictStart: Hook? = nil, onPredictEnd: Hook? = nil,
        onPredictEpochStart: Hook? = nil, onPredictEpochEnd: Hook? = nil, onPredictBatchStart: BatchHook? = nil,
        onMetricsReady: ((Trainer, LightningModule, MetricsMoment) throws -> Void)? = nil,
        onException: ((Trainer, LightningModule, any Error) -> Void)? = nil
    ) {
        let hooks: [String: Hook?] = [
            "onFitStart": onFitStart, "onFitEnd": onFitEnd, "onSanityCheckStart": onSanityCheckStart,
            "onSanityCheckEnd": onSanityCheckEnd, "onTrainStart": onTrainStart, "onTrainEnd": onTrainEnd,
            "onTrainEpochStart": onTrainEpochStart, "onTrainEpochEnd": onTrainEpochEnd,
            "onAfterBackward": onAfterBackward, "onValidationStart": onValidationStart,
            "onValidationEnd": onValidationEnd, "onValidationEpochStart": onValidationEpochStart,
            "onValidationEpochEnd": onValidationEpochEnd, "onTestStart": onTestStart, "onTestEnd": onTestEnd,
            "onTestEpochStart": onTestEpochStart, "onTestEpochEnd": onTestEpochEnd, "onPredictStart": onPredictStart,
            "onPredictEnd": onPredictEnd, "onPredictEpochStart": onPredictEpochStart,
            "onPredictEpochEnd": onPredictEpochEnd,
        ]
        let batchHooks: [String: BatchHook?] = [
            "onTrainBatchStart": onTrainBatchStart, "onTrainBatchEnd": onTrainBatchEnd,
            "onValidationBatchStart": onValidationBatchStart, "onTestBatchStart": onTestBatchStart,
            "onPredictBatchStart": onPredictBatchStart,
        ]
        let optimizerHooks: [String: OptimizerHook?] = [
            "onBeforeZeroGrad": onBeforeZeroGrad, "onBeforeOptimizerStep": onBeforeOptimizerStep,
        ]
        self.hooks = hooks.compactMapValues { $0 }
        self.batchHooks = batchHooks.compactMapValues { $0 }
        self.optimizerHooks = optimizerHooks.compactMapValues { $0 }
        metricsHook = onMetricsReady
        exceptionHook = onException
    }

    /// Calls its closure.
    public override func onFitStart(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onFitStart"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onFitEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onFitEnd"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onSanityCheckStart(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onSanityCheckStart"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onSanityCheckEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onSanityCheckEnd"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onTrainStart(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onTrainStart"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onTrainEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onTrainEnd"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onTrainEpochStart(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onTrainEpochStart"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onTrainEpochEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onTrainEpochEnd"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onAfterBackward(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onAfterBackward"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onValidationStart(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onValidationStart"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onValidationEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onValidationEnd"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onValidationEpochStart(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onValidationEpochStart"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onValidationEpochEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onValidationEpochEnd"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onTestStart(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onTestStart"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onTestEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onTestEnd"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onTestEpochStart(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onTestEpochStart"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onTestEpochEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onTestEpochEnd"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onPredictStart(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onPredictStart"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onPredictEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onPredictEnd"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onPredictEpochStart(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onPredictEpochStart"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onPredictEpochEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        try hooks["onPredictEpochEnd"]?(trainer, module)
    }
    /// Calls its closure.
    public override func onBeforeZeroGrad(_ trainer: Trainer, _ module: LightningModule, _ optimizer: Optimizer) throws
    {
        try optimizerHooks["onBeforeZeroGrad"]?(trainer, module, optimizer)
    }
    /// Calls its closure.
    public override func onBeforeOptimizerStep(_ trainer: Trainer, _ module: LightningModule, _ optimizer: Optimizer)
        throws
    {
        try optimizerHooks["onBeforeOptimizerStep"]?(trainer, module, optimizer)
    }
    /// Calls its closure.
    public override func onTrainBatchStart(
        _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int
    ) throws { try batchHooks["onTrainBatchStart"]?(trainer, module, batch, batchIndex) }
    /// Calls its closure.
    public override func onTrainBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ loss: Tensor?, batch: any DataBatch, batchIndex: Int
    ) throws { try batchHooks["onTrainBatchEnd"]?(trainer, module, batch, batchIndex) }
    /// Calls its closure.
    public override func onValidationBatchStart(
        _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) throws { try batchHooks["onValidationBatchStart"]?(trainer, module, batch, batchIndex) }
    /// Calls its closure.
    public override func onTestBatchStart(
        _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) throws { try batchHooks["onTestBatchStart"]?(trainer, module, batch, batchIndex) }
    /// Calls its closure.
    public override func onPredictBatchStart(
        _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) throws { try batchHooks["onPredictBatchStart"]?(trainer, module, batch, batchIndex) }
    /// Calls its closure.
    public override func onMetricsReady(
        _ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment
    ) throws { try metricsHook?(trainer, module, moment) }
    /// Calls its closure.
    public override func onException(_ trainer: Trainer, _ module: LightningModule, _ error: any Error) {
        exceptionHook?(trainer, module, error)
    }
}
