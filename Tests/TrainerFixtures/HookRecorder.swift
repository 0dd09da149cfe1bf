import Lightning

/// What was called, in order.
public final class HookLog {
    /// The calls.
    public var calls: [String] = []
    /// An empty log.
    public init() {}
    /// Notes a call.
    public func add(_ name: String) { calls.append(name) }
}

/// A module that notes every hook.
public final class RecordingModule: LightningModule, TrainingModule, ValidationModule, TestModule, PredictionModule {
    /// Where calls are noted.
    public let hooks: HookLog
    /// The batch of each epoch with which the rest of it is left out.
    public var skippedBatch: Int?
    private let weight = Parameter(Tensor([0.5, -0.25, 1], shape: [1, 3]))

    /// A module that writes into a log.
    public init(_ hooks: HookLog) {
        self.hooks = hooks
        super.init()
    }

    private func loss(_ batch: NumberedBatch) -> Tensor {
        batch.inputs.linear(weight: weight.value, bias: nil).squared().mean()
    }

    public override func prepareData() { hooks.add("prepareData") }
    public override func setup(_ stage: RunStage) { hooks.add("setup \(stage)") }
    public override func configureModel() { hooks.add("configureModel") }
    public override func configureCallbacks() -> [Callback] {
        hooks.add("configureCallbacks")
        return []
    }
    public override func teardown(_ stage: RunStage) { hooks.add("teardown \(stage)") }
    /// Noted.
    public func configureOptimizers() -> OptimizerConfiguration {
        hooks.add("configureOptimizers")
        return .init(SGD(parameters, learningRate: 0.1))
    }
    public override func onFitStart() { hooks.add("onFitStart") }
    public override func onFitEnd() { hooks.add("onFitEnd") }
    public override func onTrainStart() { hooks.add("onTrainStart") }
    public override func onTrainEnd() { hooks.add("onTrainEnd") }
    public override func onTrainEpochStart() { hooks.add("onTrainEpochStart \(currentEpoch)") }
    public override func onTrainEpochEnd() { hooks.add("onTrainEpochEnd \(currentEpoch)") }
    public override func onTrainBatchStart(_ batch: any DataBatch, batchIndex: Int) throws {
        hooks.add("onTrainBatchStart \(batchIndex)")
        if batchIndex == skippedBatch { throw SkipRestOfEpoch() }
    }
    public override func onTrainBatchEnd(_ loss: Tensor?, batch: any DataBatch, batchIndex: Int) {
        hooks.add("onTrainBatchEnd \(batchIndex)")
    }
    public override func onBeforeBatchTransfer(_ batch: any DataBatch, dataLoaderIndex: Int) -> any DataBatch {
        hooks.add("onBeforeBatchTransfer")
        return batch
    }
    public override func transferBatchToDevice(_ batch: any DataBatch, dataLoaderIndex: Int) -> any DataBatch {
        hooks.add("transferBatchToDevice")
        return batch
    }
    public override func onAfterBatchTransfer(_ batch: any DataBatch, dataLoaderIndex: Int) -> any DataBatch {
        hooks.add("onAfterBatchTransfer")
        return batch
    }
    /// Noted.
    public func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
        hooks.add("trainingStep \(batchIndex)")
        return loss(batch)
    }
    public override func onBeforeZeroGrad(_ optimizer: Optimizer) { hooks.add("onBeforeZeroGrad") }
    public override func optimizerZeroGrad(epoch: Int, batchIndex: Int, optimizer: Optimizer) {
        hooks.add("optimizerZeroGrad \(epoch) \(batchIndex)")
        optimizer.zeroGradients()
    }
    public override func onBeforeBackward(_ loss: Tensor) { hooks.add("onBeforeBackward") }
    public override func backward(_ loss: Tensor) {
        hooks.add("backward")
        loss.backward()
    }
    public override func onAfterBackward() { hooks.add("onAfterBackward") }
    public override func onBeforeOptimizerStep(_ optimizer: Optimizer) { hooks.add("onBeforeOptimizerStep") }
    public override func configureGradientClipping(_ optimizer: Optimizer, clipping: GradientClipping?) {
        hooks.add("configureGradientClipping \(clipping.map { "\($0)" } ?? "none")")
        clipping?.clip(optimizer.parameters)
    }
    public override func optimizerStep(epoch: Int, batchIndex: Int, optimizer: Optimizer) {
        hooks.add("optimizerStep \(epoch) \(batchIndex)")
        optimizer.step()
    }
    /// Noted.
    public func validationStep(_ batch: NumberedBatch, batchIndex: Int) -> [Int] {
        hooks.add("validationStep \(batchIndex)")
        log("val_loss", loss(batch))
        return batch.indices
    }
    /// Noted.
    public func testStep(_ batch: NumberedBatch, batchIndex: Int) -> [Int] {
        hooks.add("testStep \(batchIndex)")
        return batch.indices
    }
    /// Noted.
    public func predictStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
        hooks.add("predictStep \(batchIndex)")
        return batch.inputs
    }
    public override func onSaveCheckpoint(_ checkpoint: inout Checkpoint) { hooks.add("onSaveCheckpoint") }
    public override func onLoadCheckpoint(_ checkpoint: Checkpoint) { hooks.add("onLoadCheckpoint") }
    public override func onValidationModelEvaluate() {
        hooks.add("onValidationModelEvaluate")
        evaluate()
    }
    public override func onValidationModelTrain() { hooks.add("onValidationModelTrain") }
    public override func onValidationStart() { hooks.add("onValidationStart") }
    public override func onValidationEnd() { hooks.add("onValidationEnd") }
    public override func onValidationEpochStart() { hooks.add("onValidationEpochStart") }
    public override func onValidationEpochEnd() { hooks.add("onValidationEpochEnd") }
    public override func onValidationBatchStart(_ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int) {
        hooks.add("onValidationBatchStart \(batchIndex)")
    }
    public override func onValidationBatchEnd(
        _ output: Any, batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) {
        hooks.add("onValidationBatchEnd \(batchIndex) \(output)")
    }
    public override func onTestModelEvaluate() {
        hooks.add("onTestModelEvaluate")
        evaluate()
    }
    public override func onTestModelTrain() { hooks.add("onTestModelTrain") }
    public override func onTestStart() { hooks.add("onTestStart") }
    public override func onTestEnd() { hooks.add("onTestEnd") }
    public override func onTestEpochStart() { hooks.add("onTestEpochStart") }
    public override func onTestEpochEnd() { hooks.add("onTestEpochEnd") }
    public override func onTestBatchStart(_ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int) {
        hooks.add("onTestBatchStart \(batchIndex)")
    }
    public override func onTestBatchEnd(
        _ output: Any, batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) {
        hooks.add("onTestBatchEnd \(batchIndex) \(output)")
    }
    public override func onPredictModelEvaluate() {
        hooks.add("onPredictModelEvaluate")
        evaluate()
    }
    public override func onPredictModelTrain() { hooks.add("onPredictModelTrain") }
    public override func onPredictStart() { hooks.add("onPredictStart") }
    public override func onPredictEnd() { hooks.add("onPredictEnd") }
    public override func onPredictEpochStart() { hooks.add("onPredictEpochStart") }
    public override func onPredictEpochEnd() { hooks.add("onPredictEpochEnd") }
    public override func onPredictBatchStart(_ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int) {
        hooks.add("onPredictBatchStart \(batchIndex)")
    }
    public override func onPredictBatchEnd(
        _ output: Any, batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) {
        hooks.add("onPredictBatchEnd \(batchIndex) \((output as? Tensor)?.shape ?? [])")
    }
}

/// A callback that notes every hook.
public final class RecordingCallback: Callback {
    private let log: HookLog

    /// A callback that writes into a log.
    public init(_ log: HookLog) { self.log = log }

    private func add(_ name: String) { log.add("callback " + name) }

    public override func setup(_ t: Trainer, _ m: LightningModule, _ stage: RunStage) { add("setup \(stage)") }
    public override func teardown(_ t: Trainer, _ m: LightningModule, _ stage: RunStage) { add("teardown \(stage)") }
    public override func onException(_ t: Trainer, _ m: LightningModule, _ error: any Error) { add("onException") }
    public override func onFitStart(_ t: Trainer, _ m: LightningModule) { add("onFitStart") }
    public override func onFitEnd(_ t: Trainer, _ m: LightningModule) { add("onFitEnd") }
    public override func onSanityCheckStart(_ t: Trainer, _ m: LightningModule) { add("onSanityCheckStart") }
    public override func onSanityCheckEnd(_ t: Trainer, _ m: LightningModule) { add("onSanityCheckEnd") }
    public override func onTrainStart(_ t: Trainer, _ m: LightningModule) { add("onTrainStart") }
    public override func onTrainEnd(_ t: Trainer, _ m: LightningModule) { add("onTrainEnd") }
    public override func onValidationStart(_ t: Trainer, _ m: LightningModule) { add("onValidationStart") }
    public override func onValidationEnd(_ t: Trainer, _ m: LightningModule) { add("onValidationEnd") }
    public override func onValidationEpochStart(_ t: Trainer, _ m: LightningModule) { add("onValidationEpochStart") }
    public override func onValidationEpochEnd(_ t: Trainer, _ m: LightningModule) { add("onValidationEpochEnd") }
    public override func onTestStart(_ t: Trainer, _ m: LightningModule) { add("onTestStart") }
    public override func onTestEnd(_ t: Trainer, _ m: LightningModule) { add("onTestEnd") }
    public override func onTestEpochStart(_ t: Trainer, _ m: LightningModule) { add("onTestEpochStart") }
    public override func onTestEpochEnd(_ t: Trainer, _ m: LightningModule) { add("onTestEpochEnd") }
    public override func onPredictStart(_ t: Trainer, _ m: LightningModule) { add("onPredictStart") }
    public override func onPredictEnd(_ t: Trainer, _ m: LightningModule) { add("onPredictEnd") }
    public override func onPredictEpochStart(_ t: Trainer, _ m: LightningModule) { add("onPredictEpochStart") }
    public override func onPredictEpochEnd(_ t: Trainer, _ m: LightningModule) { add("onPredictEpochEnd") }
    public override func onValidationBatchStart(
        _ t: Trainer, _ m: LightningModule, _ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) { add("onValidationBatchStart \(batchIndex)") }
    public override func onValidationBatchEnd(
        _ t: Trainer, _ m: LightningModule, _ output: Any, batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) { add("onValidationBatchEnd \(batchIndex) \(output)") }
    public override func onTestBatchStart(
        _ t: Trainer, _ m: LightningModule, _ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) { add("onTestBatchStart \(batchIndex)") }
    public override func onTestBatchEnd(
        _ t: Trainer, _ m: LightningModule, _ output: Any, batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) { add("onTestBatchEnd \(batchIndex) \(output)") }
    public override func onPredictBatchStart(
        _ t: Trainer, _ m: LightningModule, _ batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) { add("onPredictBatchStart \(batchIndex)") }
    public override func onTrainEpochStart(_ t: Trainer, _ m: LightningModule) {
        add("onTrainEpochStart \(t.currentEpoch)")
    }
    public override func onTrainEpochEnd(_ t: Trainer, _ m: LightningModule) {
        add("onTrainEpochEnd \(t.currentEpoch)")
    }
    public override func onTrainBatchStart(
        _ t: Trainer, _ m: LightningModule, _ batch: any DataBatch, batchIndex: Int
    ) { add("onTrainBatchStart \(batchIndex)") }
    public override func onTrainBatchEnd(
        _ t: Trainer, _ m: LightningModule, _ loss: Tensor?, batch: any DataBatch, batchIndex: Int
    ) { add("onTrainBatchEnd \(batchIndex)") }
    public override func onBeforeZeroGrad(_ t: Trainer, _ m: LightningModule, _ o: Optimizer) {
        add("onBeforeZeroGrad")
    }
    public override func onBeforeBackward(_ t: Trainer, _ m: LightningModule, _ loss: Tensor) {
        add("onBeforeBackward")
    }
    public override func onAfterBackward(_ t: Trainer, _ m: LightningModule) { add("onAfterBackward") }
    public override func onBeforeOptimizerStep(_ t: Trainer, _ m: LightningModule, _ o: Optimizer) {
        add("onBeforeOptimizerStep")
    }
    public override func onPredictBatchEnd(
        _ t: Trainer, _ m: LightningModule, _ output: Any, batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int
    ) { add("onPredictBatchEnd \(batchIndex) \((output as? Tensor)?.shape ?? [])") }
    public override func onMetricsReady(_ t: Trainer, _ m: LightningModule, _ moment: MetricsMoment) {
        add("onMetricsReady \(moment)")
    }
    public override func onSaveCheckpoint(_ t: Trainer, _ m: LightningModule, _ checkpoint: inout Checkpoint) {
        add("onSaveCheckpoint")
    }
    public override func onLoadCheckpoint(_ t: Trainer, _ m: LightningModule, _ checkpoint: Checkpoint) {
        add("onLoadCheckpoint")
    }
}
