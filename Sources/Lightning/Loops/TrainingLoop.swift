import DataParallel
import Foundation
import MPI
import NN
import Optimizers
import Tensors

/// Training, from top to bottom.
///
/// The same lines run in one process and on many ranks.
struct TrainingLoop<M: TrainableModule> {
    let trainer: Trainer
    let module: M
    let optimization: any BatchOptimization<M.TrainingBatch>
    let source: LoaderSource<M.TrainingBatch>
    let validation: (any Evaluation)?

    /// Batches of the present epoch, the same on all ranks; `Int.max` of a stream, while it is not known.
    private var batchCount: Int { trainer.trainBatchCount }

    func run() throws {
        guard batchCount > 0 else { return }
        guard !isFinished || isAtLooseEnd else {
            return trainer.print(
                "nothing to train: \(trainer.progress.epoch) epochs and \(trainer.progress.step) steps are done already"
            )
        }
        module.train()
        trainer.logging.scope = .trainingEpoch
        try trainer.call(.onTrainStart, { try $0.onTrainStart(trainer, module) }, { try module.onTrainStart() })
        _ = try trainer.stopsNow(trainer.agree(on: "the beginning of training"))
        while !isFinished || isAtLooseEnd { try trainer.timed(.runTrainingEpoch) { try runEpoch() } }
        trainer.logging.scope = .none("in onTrainEnd")
        try trainer.call(.onTrainEnd, { try $0.onTrainEnd(trainer, module) }, { try module.onTrainEnd() })
    }

    private func runEpoch() throws {
        let loader = try source.loader(inEpoch: trainer.progress.epoch)
        let sampler = try trainer.sampler(of: loader, shuffledByDefault: true, epoch: trainer.epochOfData)
        trainer.globalBatchSize = sampler.globalBatchSize
        let batches = try EpochBatches(trainer, loader, sampler, limit: trainer.trainBatches(of: sampler))
        trainer.trainBatchCount = batches.count
        if trainer.progress.batchInEpoch == 0 {  // not when an epoch is resumed in its middle
            trainer.logging.scope = .trainingEpoch
            try trainer.call(
                .onTrainEpochStart, { try $0.onTrainEpochStart(trainer, module) }, { try module.onTrainEpochStart() })
        }

        var window = AccumulationWindow()
        var mustStop = isFinished  // resumed where only a validation or the end of the epoch was still to come
        while true {
            if trainer.progress.awaitsValidation { mustStop = try validate() || mustStop }
            guard !mustStop, trainer.progress.batchInEpoch < batchCount, let turn = try batches.next() else { break }
            trainer.trainBatchCount = batches.count
            if let control = try trainer.timed(.runTrainingBatch, { try runBatch(turn, &window) }) {
                if control.signal != 0 { try interrupt(control.signal) }
                mustStop = try trainer.stopsNow(control)
                if mustStop, trainer.progress.batchInEpoch < batchCount, validatesInFit {
                    trainer.progress.awaitValidation()
                }
            }
        }
        try endEpoch(isComplete: trainer.progress.batchInEpoch >= batchCount)
    }

    /// One batch: the hooks around it, and what the optimization does with it.
    ///
    /// - Parameters:
    ///   - turn: The batch: this rank's part, and its samples over all ranks.
    ///   - window: What has been gathered since parameters were last updated.
    /// - Returns: What the ranks agreed on at the optimizer step; nil in the middle of a window.
    private func runBatch(
        _ turn: EpochBatches<M.TrainingBatch>.Turn, _ window: inout AccumulationWindow
    ) throws -> StepControl? {
        let index = turn.batch.index, stepsBefore = trainer.progress.step
        begin(turn, &window)
        let batch = try start(turn.batch.batch, index, &window)

        // Forward, backward and update.
        let outcome = try optimization.run(batch?.typed, index, &window)

        // Progress moves here, but for the count of updates, which moves with each of them.
        trainer.progress.advanceBatch(samples: outcome.samples)
        trainer.stepsOfBatch = stepsBefore..<trainer.progress.step
        if !trainer.stepsOfBatch.isEmpty { try trainer.advanceSchedules(.step) }
        decideWhatFollows(outcome, turn, &window)

        if let batch {
            let result = outcome.loss?.detached
            try trainer.call(
                .onTrainBatchEnd,
                { try $0.onTrainBatchEnd(trainer, module, result, batch: batch.boxed, batchIndex: index) },
                { try module.onTrainBatchEnd(result, batch: batch.boxed, batchIndex: index) })
        }
        if !trainer.stepsOfBatch.isEmpty { try afterSteps() }
        return outcome.control
    }

    /// Lets everything know which batch it is.
    private func begin(_ turn: EpochBatches<M.TrainingBatch>.Turn, _ window: inout AccumulationWindow) {
        let accumulation = trainer.accumulateGradientBatches, index = turn.batch.index
        window.add(turn.batch.sampleCount, of: turn.globalCount)
        window.ends = (index + 1) % accumulation == 0 || turn.isLast
        window.gathers = accumulation > 1
        Watchdog.phase = TrainingPhase("training", epoch: trainer.progress.epoch, batch: index)
        RandomContext.current.begin(step: trainer.progress.batch, shard: trainer.globalRank)
        trainer.logging.scope = .trainingBatch
    }

    /// The hooks before a batch, and those on its way to the module.
    ///
    /// - Returns: The batch for the step, and for the hooks after it. Nil when a hook wants the rest of the epoch left
    ///   out, and when a short batch has no samples for this rank: it joins with a weight of 0.
    private func start(
        _ batch: M.TrainingBatch?, _ index: Int, _ window: inout AccumulationWindow
    ) throws -> (typed: M.TrainingBatch, boxed: any DataBatch)? {
        guard let batch, !window.skipsEpoch else { return nil }
        let original: any DataBatch = batch
        trainer.logging.batchSize = batch.sampleCount
        do {
            try trainer.call(
                .onTrainBatchStart, { try $0.onTrainBatchStart(trainer, module, original, batchIndex: index) },
                { try module.onTrainBatchStart(original, batchIndex: index) })
            return try trainer.timed(.transferBatchToDevice) { try trainer.transfer(boxed: original, to: module) }
        } catch is SkipRestOfEpoch {
            window.skipsEpoch = true
            return nil
        }
    }

    /// Finds out what follows a batch: the rest of the epoch, a validation, a new window.
    private func decideWhatFollows(
        _ outcome: BatchOutcome, _ turn: EpochBatches<M.TrainingBatch>.Turn, _ window: inout AccumulationWindow
    ) {
        let index = turn.batch.index
        if outcome.skipsEpoch {
            // Of a stream nobody knows how many were left out.
            if batchCount == .max { trainer.trainBatchCount = index + 1 }
            trainer.progress.skipToEnd(ofEpochWith: batchCount)
        } else if window.ends, isValidationDue(window.batches, upTo: index, turn.isLast, outcome.control) {
            trainer.progress.awaitValidation()
        }
        if window.ends { window = AccumulationWindow() }
    }

    /// Lets loggers and callbacks look, after a batch with one update or, with several optimizers, more.
    private func afterSteps() throws {
        if trainer.hasJustTaken(multipleOf: trainer.configuration.logEverySteps) {
            try trainer.logToLoggers(trainer.logging.takeStepValues())
        }
        try trainer.callCallbacks(.onMetricsReady) { try $0.onMetricsReady(trainer, module, .optimizerStep) }
    }

    // MARK: - Validation

    /// Whether the fit validates at all.
    var validatesInFit: Bool {
        let flags = trainer.configuration
        let interval = flags.validateEverySteps ?? validationInterval ?? flags.validateEveryEpochs
        return validation != nil && (interval > 0 || flags.validateEverySeconds != nil)
    }

    /// The batches of an epoch after which it validates, when that is not its end.
    private var validationInterval: Int? {
        let flags = trainer.configuration
        return flags.validateEveryBatches ?? flags.validateEveryFraction.map { max(1, Int(Double(batchCount) * $0)) }
    }

    /// Whether a validation falls due in the window of `count` batches that ends with `index`.
    private func isValidationDue(_ count: Int, upTo index: Int, _ isLast: Bool, _ control: StepControl?) -> Bool {
        guard validatesInFit else { return false }
        let flags = trainer.configuration
        if flags.validateEverySeconds != nil { return control?.validates == true }
        if let interval = flags.validateEverySteps { return trainer.hasJustTaken(multipleOf: interval) }
        if let interval = validationInterval { return (index + 1) / interval > (index + 1 - count) / interval }
        return isLast && (trainer.progress.epoch + 1) % flags.validateEveryEpochs == 0
    }

    /// Validates.
    ///
    /// - Returns: Whether training ends here.
    private func validate() throws -> Bool {
        trainer.progress.validated()
        guard let validation else { return false }  // resumed without the validation that was due
        try validation.run(limit: trainer.configuration.limitValidationBatches)
        trainer.hasValidated = true
        trainer.validationClockBegan = trainer.seconds
        try trainer.advanceSchedules(.validation)
        trainer.logging.scope = .trainingEpoch
        // At the end of an epoch, callbacks look at its metrics when those of training are final too.
        guard trainer.progress.batchInEpoch < trainer.trainBatchCount else { return false }
        try trainer.callCallbacks(.onMetricsReady) { try $0.onMetricsReady(trainer, module, .validation) }
        trainer.logging.fresh.removeAll()
        let control = try trainer.agree(on: "the end of a validation")
        if control.signal != 0 { try interrupt(control.signal) }
        return try trainer.stopsNow(control)
    }

    // MARK: - The end of an epoch, and of training

    private func endEpoch(isComplete: Bool) throws {
        Watchdog.phase = TrainingPhase("the end of", epoch: trainer.progress.epoch)
        trainer.logging.scope = .trainingEpoch
        trainer.logging.batchSize = 1
        try trainer.call(
            .onTrainEpochEnd, { try $0.onTrainEpochEnd(trainer, module) }, { try module.onTrainEpochEnd() })
        let entries = try trainer.timed(.reduceMetrics) {
            try trainer.logging.training.reduced(
                over: trainer.strategy, in: module, tag: "metrics of a training epoch")
        }
        try trainer.logToLoggers(trainer.logging.finish(entries))
        let (epoch, irregular) = (trainer.progress.epoch, trainer.irregularSoFar)
        if isComplete {
            trainer.progress.advanceEpoch()
            trainer.irregularSoFar = IrregularBatches()
            LoggedMetrics.reset(entries, in: module)
            trainer.logging.training.reset()
            try trainer.advanceSchedules(.epoch)
        }
        try trainer.callCallbacks(.onMetricsReady) { try $0.onMetricsReady(trainer, module, .epoch) }
        trainer.logging.fresh.removeAll()
        let control = try trainer.agree(onTheEndOf: epoch, irregular)
        if control.signal != 0 { try interrupt(control.signal) }
        if try trainer.stopsNow(control) { trainer.requestStop("another rank asked to stop") }
    }

    /// Saves and ends the run: all ranks come here after the same batch.
    private func interrupt(_ signal: Int32) throws {
        let path = try trainer.checkpointCallback?.saveLast(trainer, module)
        throw Interrupted(signal: signal, checkpoint: path)
    }

    /// Whether the run was saved between the last batch and what follows it: a validation, or the end of the epoch.
    private var isAtLooseEnd: Bool {
        trainer.progress.awaitsValidation || trainer.progress.batchInEpoch >= batchCount
    }

    private var isFinished: Bool {
        let flags = trainer.configuration
        if let steps = flags.maxSteps, trainer.progress.step >= steps { return true }
        let unlimited = flags.maxSteps != nil || trainer.callbacks.contains { $0 is TrainingTimer }
        if let epochs = flags.maxEpochs ?? (unlimited ? nil : 1000), trainer.progress.epoch >= epochs { return true }
        return trainer.stopReason != nil && trainer.minimumIsReached
    }
}

extension Trainer {
    /// Whether the optimizer steps of the newest batch, of which there may be several, have reached or passed a multiple of
    /// `interval`.
    func hasJustTaken(multipleOf interval: Int) -> Bool {
        interval > 0 && stepsOfBatch.upperBound / interval > stepsOfBatch.lowerBound / interval
    }

    /// What this rank has to say at an optimizer step.
    func stepControl(samples: Int) -> StepControl {
        StepControl(
            samples: samples, stops: stopReason != nil, signal: SignalWatch.signal, validates: isTimeToValidate)
    }

    /// Whether rank 0 finds that `validateEverySeconds` are over; the others never do.
    private var isTimeToValidate: Bool {
        guard let interval = configuration.validateEverySeconds, isGlobalZero else { return false }
        return seconds - validationClockBegan >= interval
    }

    /// Exchanges stops and signals outside of an optimizer step.
    func agree(on occasion: String) throws -> StepControl {
        try agree(on: occasion, counting: IrregularBatches()).control
    }

    /// The same, and counts of all ranks.
    func agree(
        on occasion: String, counting irregular: IrregularBatches
    ) throws -> (control: StepControl, counted: IrregularBatches) {
        let own = stepControl(samples: 0)
        let signals = SignalWatch.signals
        var values: [Double] = []
        values.reserveCapacity(3 + signals.count)
        values.append(own.stops ? 1 : 0)
        for signal in signals { values.append(own.signal == signal ? 1 : 0) }
        values.append(Double(irregular.skipped))
        values.append(Double(irregular.nonFiniteLosses))
        let sums = try strategy.sum(values, tag: occasion)
        let signal = signals.indices.last { sums[$0 + 1] > 0 }.map { signals[$0] }
        var counted = IrregularBatches()
        (counted.skipped, counted.nonFiniteLosses) = (Int(sums[sums.count - 2]), Int(sums[sums.count - 1]))
        return (StepControl(samples: 0, stops: sums[0] > 0, signal: signal ?? 0), counted)
    }

    /// Whether training ends here, after what the ranks agreed on.
    func stopsNow(_ control: StepControl) throws -> Bool {
        if let steps = configuration.maxSteps, progress.step >= steps { return true }
        guard control.stops else { return false }
        requestStop("another rank asked to stop")
        return minimumIsReached
    }

    /// Whether the least epochs and steps asked for are done.
    var minimumIsReached: Bool {
        progress.epoch >= configuration.minEpochs ?? 0 && progress.step >= configuration.minSteps ?? 0
    }
}
