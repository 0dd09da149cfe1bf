import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// The order of all hooks is that of the document's pseudocode, with the callbacks' before the module's.
struct HookOrderTests {
    private let scratch: ScratchDirectory
    private let hooks = HookLog()

    init() throws { scratch = try ScratchDirectory() }

    /// Six samples in batches of two, validated on four.
    private func trainer(_ change: (inout Trainer.Configuration) -> Void = { _ in }) throws -> Trainer {
        var run = ToyRun(directory: scratch.path)
        run.trainer.accumulateGradientBatches = 2
        run.trainer.gradientClipNorm = 0.5
        run.trainer.logEverySteps = 0
        change(&run.trainer)
        return try Trainer(configuration: run.trainer, callbacks: [RecordingCallback(hooks)], loggers: [])
    }

    private func loader(_ count: Int) -> DataLoader<NumberedBatch> {
        DataLoader(NumberedDataset(count: count), batchSize: 2)
    }

    // MARK: - The document's pseudocode, as lists

    private let transfer = ["onBeforeBatchTransfer", "transferBatchToDevice", "onAfterBatchTransfer"]

    /// A hook of callbacks and of the module.
    private func both(_ name: String) -> [String] { ["callback " + name, name] }

    private func validation(batches: Int) -> [String] {
        ["onValidationModelEvaluate"] + both("onValidationStart") + both("onValidationEpochStart")
            + (0..<batches).flatMap { index in
                both("onValidationBatchStart \(index)") + transfer + ["validationStep \(index)"]
                    + both("onValidationBatchEnd \(index) \([2 * index, 2 * index + 1])")
            } + both("onValidationEpochEnd") + both("onValidationEnd") + ["onValidationModelTrain"]
    }

    private func trainingBatch(_ index: Int, epoch: Int, clears: Bool, steps: Bool) -> [String] {
        var calls = both("onTrainBatchStart \(index)") + transfer + ["trainingStep \(index)"]
        if clears { calls += both("onBeforeZeroGrad") + ["optimizerZeroGrad \(epoch) \(index)"] }
        calls += both("onBeforeBackward") + ["backward"] + both("onAfterBackward")
        if steps {
            calls += both("onBeforeOptimizerStep")
            calls += ["configureGradientClipping norm(0.5)", "optimizerStep \(epoch) \(index)"]
        }
        calls += both("onTrainBatchEnd \(index)")
        return steps ? calls + ["callback onMetricsReady optimizerStep"] : calls
    }

    /// Three batches, of which the first two make one step and the last, alone, another.
    private func epoch(_ epoch: Int) -> [String] {
        both("onTrainEpochStart \(epoch)") + trainingBatch(0, epoch: epoch, clears: true, steps: false)
            + trainingBatch(1, epoch: epoch, clears: false, steps: true)
            + trainingBatch(2, epoch: epoch, clears: true, steps: true) + validation(batches: 2)
            + both("onTrainEpochEnd \(epoch)") + ["callback onMetricsReady epoch"]
    }

    private func beginning(_ stage: RunStage) -> [String] {
        ["configureCallbacks", "prepareData"] + both("setup \(stage)") + ["configureModel"]
    }

    // MARK: - Tests

    @Test func fit() throws {
        try trainer().fit(RecordingModule(hooks), train: loader(6), validation: loader(4))
        let sanityCheck = ["callback onSanityCheckStart"] + validation(batches: 2) + ["callback onSanityCheckEnd"]
        let wanted =
            beginning(.fit) + ["configureOptimizers"] + both("onFitStart") + sanityCheck + both("onTrainStart")
            + epoch(0) + epoch(1) + both("onTrainEnd") + both("onFitEnd") + both("teardown fit")
        expectSame(hooks.calls, wanted)
    }

    /// Validation comes after the hooks at the end of its batch; in the middle of an epoch callbacks look at its metrics.
    @Test func fitThatValidatesAfterEachBatch() throws {
        let trainer = try trainer {
            ($0.maxEpochs, $0.accumulateGradientBatches, $0.validateEveryBatches) = (1, 1, 1)
            $0.sanityValidationBatches = 0
        }
        try trainer.fit(RecordingModule(hooks), train: loader(6), validation: loader(4))
        let batches = (0..<3).flatMap { index in
            trainingBatch(index, epoch: 0, clears: true, steps: true) + validation(batches: 2)
                + (index < 2 ? ["callback onMetricsReady validation"] : [])
        }
        var wanted = beginning(.fit) + ["configureOptimizers"] + both("onFitStart") + both("onTrainStart")
        wanted += both("onTrainEpochStart 0") + batches + both("onTrainEpochEnd 0") + ["callback onMetricsReady epoch"]
        expectSame(hooks.calls, wanted + both("onTrainEnd") + both("onFitEnd") + both("teardown fit"))
    }

    @Test func fitWithoutValidation() throws {
        try trainer { $0.maxEpochs = 1 }.fit(RecordingModule(hooks), train: loader(6))
        let batches = epoch(0).filter { !$0.contains("alidation") }
        var wanted = beginning(.fit) + ["configureOptimizers"] + both("onFitStart") + both("onTrainStart") + batches
        // The batch transfer hooks of validation have the same names as those of training.
        wanted = removingTransfers(wanted, after: "callback onMetricsReady optimizerStep", count: 2)
        expectSame(hooks.calls, wanted + both("onTrainEnd") + both("onFitEnd") + both("teardown fit"))
    }

    private func removingTransfers(_ calls: [String], after mark: String, count: Int) -> [String] {
        guard let last = calls.lastIndex(of: mark) else { return calls }
        return Array(calls[...last]) + calls[(last + 1)...].filter { !transfer.contains($0) }
    }

    /// The second batch and what follows it are left out, with the validation; what the first one gave is applied.
    @Test func aHookSkipsTheRestOfAnEpoch() throws {
        let module = RecordingModule(hooks)
        module.skippedBatch = 1
        let trainer = try trainer()
        try trainer.fit(module, train: loader(6), validation: loader(4))
        let epochs = (0..<2).flatMap { epoch in
            var calls = both("onTrainEpochStart \(epoch)") + trainingBatch(0, epoch: epoch, clears: true, steps: false)
            calls += both("onTrainBatchStart 1") + both("onAfterBackward") + both("onBeforeOptimizerStep")
            calls += ["configureGradientClipping norm(0.5)", "optimizerStep \(epoch) 1"]
            calls += ["callback onMetricsReady optimizerStep"] + both("onTrainEpochEnd \(epoch)")
            return calls + ["callback onMetricsReady epoch"]
        }
        let start = try #require(hooks.calls.firstIndex(of: "onTrainStart"))
        expectSame(
            Array(hooks.calls[(start + 1)...]), epochs + both("onTrainEnd") + both("onFitEnd") + both("teardown fit"))
        #expect(trainer.currentEpoch == 2 && trainer.globalStep == 2 && trainer.progress.samples == 4)
    }

    /// Without accumulation there is nothing to apply: not even gradients are cleared by a hook.
    @Test func aHookSkipsAWholeEpoch() throws {
        let module = RecordingModule(hooks)
        module.skippedBatch = 0
        let trainer = try trainer { ($0.accumulateGradientBatches, $0.maxEpochs) = (1, 1) }
        try trainer.fit(module, train: loader(6), validation: loader(4))
        let start = try #require(hooks.calls.firstIndex(of: "onTrainStart"))
        var wanted = both("onTrainEpochStart 0") + both("onTrainBatchStart 0") + both("onTrainEpochEnd 0")
        wanted += ["callback onMetricsReady epoch"] + both("onTrainEnd") + both("onFitEnd") + both("teardown fit")
        expectSame(Array(hooks.calls[(start + 1)...]), wanted)
        #expect(trainer.currentEpoch == 1 && trainer.globalStep == 0)
    }

    @Test func resumedFitBeginsWhereItStopped() throws {
        let path = scratch.file("middle.h5")
        let first = try trainer { $0.maxSteps = 1 }
        try first.fit(RecordingModule(hooks), train: loader(6))
        try first.saveCheckpoint(path)
        hooks.calls = []
        try trainer { $0.maxEpochs = 1 }.fit(
            RecordingModule(hooks), train: loader(6), validation: loader(4), checkpoint: path)
        // No sanity check, no start of the epoch that goes on, no batch twice.
        let rest = trainingBatch(2, epoch: 0, clears: true, steps: true) + validation(batches: 2)
        let wanted =
            beginning(.fit) + ["onLoadCheckpoint", "configureOptimizers", "callback onLoadCheckpoint"]
            + both("onFitStart") + both("onTrainStart") + rest + both("onTrainEpochEnd 0")
            + ["callback onMetricsReady epoch"] + both("onTrainEnd") + both("onFitEnd") + both("teardown fit")
        expectSame(hooks.calls, wanted)
    }

    @Test func validate() throws {
        try trainer().validate(RecordingModule(hooks), loader(4))
        expectSame(hooks.calls, beginning(.validate) + validation(batches: 2) + both("teardown validate"))
    }

    @Test func test() throws {
        try trainer().test(RecordingModule(hooks), loader(4))
        let calls = (beginning(.validate) + validation(batches: 2) + both("teardown validate")).map {
            $0.replacing("Validation", with: "Test").replacing("validationStep", with: "testStep")
                .replacing("validate", with: "test")
        }
        expectSame(hooks.calls, calls)
    }

    @Test func predict() throws {
        _ = try trainer().predict(RecordingModule(hooks), loader(4))
        let batches = (0..<2).flatMap { index in
            both("onPredictBatchStart \(index)") + transfer + ["predictStep \(index)"]
                + both("onPredictBatchEnd \(index) \(Shape([2, 3]))")
        }
        let loop =
            ["onPredictModelEvaluate"] + both("onPredictStart") + both("onPredictEpochStart") + batches
            + both("onPredictEpochEnd") + both("onPredictEnd") + ["onPredictModelTrain"]
        expectSame(hooks.calls, beginning(.predict) + loop + both("teardown predict"))
    }

    @Test func aFailureIsToldToCallbacksAndNothingElseIsCalled() throws {
        let trainer = try trainer()
        let failing = DataLoader(NumberedDataset(count: 6, failing: 5), batchSize: 2, shuffles: false)
        #expect(throws: OnPurpose.self) { try trainer.fit(RecordingModule(hooks), train: failing) }
        #expect(hooks.calls.last == "callback onException")
        #expect(!hooks.calls.contains("callback onTrainEnd") && !hooks.calls.contains("teardown fit"))
        #expect(trainer.status == .failed)
    }

    @Test func nothingIsCalledWithoutBatches() throws {
        try trainer { $0.limitTrainBatches = .batches(0) }.fit(RecordingModule(hooks), train: loader(6))
        let wanted =
            beginning(.fit) + ["configureOptimizers"] + both("onFitStart") + both("onFitEnd") + both("teardown fit")
        expectSame(hooks.calls, wanted)
    }

    /// Says where two lists part, which a comparison of long lists leaves to the reader.
    private func expectSame(_ found: [String], _ wanted: [String], at location: SourceLocation = #_sourceLocation) {
        let place = zip(found, wanted).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        let at = place ?? min(found.count, wanted.count)
        let message = "at \(at): found \(found.dropFirst(at).prefix(4)), wanted \(wanted.dropFirst(at).prefix(4))"
        #expect(found == wanted, "\(message), after \(found.prefix(at).suffix(3))", sourceLocation: location)
    }
}
