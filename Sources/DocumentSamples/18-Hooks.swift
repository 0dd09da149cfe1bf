import Lightning

/// The document's section "Hooks": the pseudocode of `fit`, written so that it can be run.
///
/// Each call only notes its name. A module that notes its hooks under a trainer must give the same list; the complete
/// lists, with callbacks, accumulation and resuming, are in `HookOrderTests`.
public struct HooksPseudocode {
    /// The hooks called so far.
    public private(set) var calls: [String] = []
    private let epochs: Int
    private let trainBatches: Int
    private let validationBatches: Int

    /// A fit of so many epochs, validated at the end of each.
    public init(epochs: Int, trainBatches: Int, validationBatches: Int) {
        self.epochs = epochs
        self.trainBatches = trainBatches
        self.validationBatches = validationBatches
    }

    private mutating func call(_ names: String...) { calls += names }

    /// `def fit(self)`; on every rank, of which one prepares data.
    public mutating func fit() {
        call("configureCallbacks")

        call("prepareData")

        call("setup fit")
        call("configureModel")
        call("configureOptimizers")

        call("onFitStart")

        // the sanity check runs here

        call("onTrainStart")
        for epoch in 0..<epochs { fitLoop(epoch) }
        call("onTrainEnd")

        call("onFitEnd")
        call("teardown fit")
    }

    /// `def fit_loop()`.
    private mutating func fitLoop(_ epoch: Int) {
        call("onTrainEpochStart \(epoch)")

        for batchIndex in 0..<trainBatches {
            call("onTrainBatchStart \(batchIndex)")

            call("onBeforeBatchTransfer")
            call("transferBatchToDevice")
            call("onAfterBatchTransfer")

            call("trainingStep \(batchIndex)")

            call("onBeforeZeroGrad")
            call("optimizerZeroGrad \(epoch) \(batchIndex)")

            call("onBeforeBackward")
            call("backward")
            call("onAfterBackward")

            call("onBeforeOptimizerStep")
            call("configureGradientClipping none")
            call("optimizerStep \(epoch) \(batchIndex)")

            call("onTrainBatchEnd \(batchIndex)")

            let shouldCheckValidation = batchIndex == trainBatches - 1
            if shouldCheckValidation { validationLoop() }
        }

        call("onTrainEpochEnd \(epoch)")
    }

    /// `def val_loop()`.
    private mutating func validationLoop() {
        call("onValidationModelEvaluate")  // calls `model.evaluate()`

        call("onValidationStart")
        call("onValidationEpochStart")

        for batchIndex in 0..<validationBatches {
            call("onValidationBatchStart \(batchIndex)")

            call("onBeforeBatchTransfer")
            call("transferBatchToDevice")
            call("onAfterBatchTransfer")

            call("validationStep \(batchIndex)")

            call("onValidationBatchEnd \(batchIndex)")
        }

        call("onValidationEpochEnd")
        call("onValidationEnd")

        // set up for train
        call("onValidationModelTrain")
    }
}
