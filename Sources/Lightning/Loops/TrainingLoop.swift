import DataParallel
import Foundation
import MPI
import NN
import Optimizers
import Tensors

/// Training, from top to bottom.
///
/// The same lines run in one process and on many ranks.
struct TrainingLoop<M: TrainingModule> {
    let trainer: Trainer
    let module: M
    let optimizer: Optimizer
    let loader: DataLoader<M.TrainingBatch>
    let validation: (any Evaluation)?
    /// Batches of an epoch, the same on all ranks.
    let batchCount: Int

    func run() throws {
        guard batchCount > 0 else { return }
        guard !isFinished || isAtLooseEnd else {
            return trainer.print(
                "nothing to train: \(trainer.progress.epoch) epochs and \(trainer.progress.step) steps are done already"
            )
        }
        module.train()
        trainer.logging.scope = .trainingEpoch
        try trainer.call({ try $0.onTrainStart(trainer, module) }, { try module.onTrainStart() })
        _ = try trainer.stopsNow(trainer.agree(on: "the beginning of training"))
        while !isFinished || isAtLooseEnd { try runEpoch() }
        trainer.logging.scope = .none("in onTrainEnd")
        try trainer.call({ try $0.onTrainEnd(trainer, module) }, { try module.onTrainEnd() })
    }

    private func runEpoch() throws {
        let sampler = try loader.sampler(
            shuffledByDefault: true, seed: trainer.seed, epoch: trainer.progress.epoch,
            shard: trainer.shard)
        let count = batchCount
        if trainer.progress.batchInEpoch == 0 {  // not when an epoch is resumed in its middle
            trainer.logging.scope = .trainingEpoch
            try trainer.call({ try $0.onTrainEpochStart(trainer, module) }, { try module.onTrainEpochStart() })
        }

        let batches = loader.batches(of: sampler, from: trainer.progress.batchInEpoch, limit: count)
        var window = Window()
        var mustStop = isFinished  // resumed where only a validation or the end of the epoch was still to come
        while true {
            if trainer.progress.awaitsValidation { mustStop = try validate() || mustStop }
            guard !mustStop, let next = try read(batches) else { break }
            if let control = try runBatch(next, &window, isLast: next.index == count - 1) {
                if control.signal != 0 { try interrupt(control.signal) }
                mustStop = try trainer.stopsNow(control)
                if mustStop, trainer.progress.batchInEpoch < count, validatesInFit {
                    trainer.progress.awaitValidation()
                }
            }
        }
        try endEpoch(isComplete: trainer.progress.batchInEpoch >= count)
    }

    /// What the micro-batches of an accumulation window have gathered.
    private struct Window {
        var samples = 0
        var batches = 0
    }

    /// The next batch; what goes wrong in reading it is reported as that batch's.
    private func read(_ batches: BatchIterator<M.TrainingBatch>) throws -> IndexedBatch<M.TrainingBatch>? {
        Watchdog.phase = TrainingPhase(
            "reading training data", epoch: trainer.progress.epoch, batch: batches.nextIndex)
        return try batches.next()
    }

    /// One batch: forward, backward and, at the end of an accumulation window, the optimizer step.
    ///
    /// - Returns: What the ranks agreed on at the optimizer step; nil in the middle of a window.
    private func runBatch(_ next: IndexedBatch<M.TrainingBatch>, _ window: inout Window, isLast: Bool) throws
        -> StepControl?
    {
        let index = next.index
        let accumulation = trainer.accumulateGradientBatches
        let endsWindow = (index + 1) % accumulation == 0 || isLast
        Watchdog.phase = TrainingPhase("training", epoch: trainer.progress.epoch, batch: index)
        RandomContext.current.begin(step: trainer.progress.batch, shard: trainer.globalRank)
        trainer.logging.scope = .trainingBatch

        var batch = next.batch  // nil when a short batch has no samples for this rank: it joins with a weight of 0
        var boxed: (any DataBatch)?  // what hooks are handed
        if let present = batch {
            let original: any DataBatch = present
            trainer.logging.batchSize = present.sampleCount
            try trainer.call(
                { try $0.onTrainBatchStart(trainer, module, original, batchIndex: index) },
                { try module.onTrainBatchStart(original, batchIndex: index) })
            (batch, boxed) = try trainer.transfer(boxed: original, to: module)
        }

        // Forward.
        let loss = try batch.flatMap { try step($0, index) }

        // Clear gradients.
        window.batches += 1
        if window.batches == 1 {
            try trainer.call(
                { try $0.onBeforeZeroGrad(trainer, module, optimizer) }, { try module.onBeforeZeroGrad(optimizer) })
            try module.optimizerZeroGrad(epoch: trainer.progress.epoch, batchIndex: index, optimizer: optimizer)
        }

        // Backward. Gradients are sums weighted by samples, over micro-batches and ranks, divided once.
        if loss != nil { trainer.logging.training.hasBatches = true }
        let samples = loss == nil ? 0 : batch?.sampleCount ?? 0
        window.samples += samples
        let isWeighted = trainer.worldSize > 1 || accumulation > 1
        if endsWindow {
            trainer.strategy.beginStep(trainer.stepControl(samples: window.samples), averages: isWeighted)
        }
        if let loss {
            let weighted = isWeighted ? loss * Double(samples) : loss
            try trainer.call(
                { try $0.onBeforeBackward(trainer, module, weighted) }, { try module.onBeforeBackward(weighted) })
            try module.backward(weighted)
        }
        let control = endsWindow ? try trainer.strategy.finishStep() : nil
        // When all ranks skipped there is nothing to update by. Otherwise even a rank without samples holds the gradients
        // of all now, and what is done to them must be done on every rank.
        let steps = (control?.samples ?? 0) > 0
        if loss != nil || steps {
            try trainer.call({ try $0.onAfterBackward(trainer, module) }, { try module.onAfterBackward() })
        }

        // Update parameters.
        if steps {
            try trainer.call(
                { try $0.onBeforeOptimizerStep(trainer, module, optimizer) },
                { try module.onBeforeOptimizerStep(optimizer) })
            try module.configureGradientClipping(optimizer, clipping: trainer.configuration.clipping)
            trainer.isUpdating = true
            try module.optimizerStep(epoch: trainer.progress.epoch, batchIndex: index, optimizer: optimizer)
        }

        // The only place where progress moves.
        trainer.progress.advanceBatch(samples: control?.samples ?? 0)
        if steps {
            trainer.progress.advanceStep()
            trainer.isUpdating = false
            try trainer.advanceSchedules(.step)
        }
        if endsWindow, isValidationDue(afterBatches: window.batches, upTo: index, isLast, steps) {
            trainer.progress.awaitValidation()
        }
        if endsWindow { window = Window() }

        if let boxed {
            let result = loss?.detached
            try trainer.call(
                { try $0.onTrainBatchEnd(trainer, module, result, batch: boxed, batchIndex: index) },
                { try module.onTrainBatchEnd(result, batch: boxed, batchIndex: index) })
        }
        if steps { try afterStep() }
        return control
    }

    /// The module's step, with a loss that can be differentiated; nil when the module skips the batch.
    private func step(_ batch: M.TrainingBatch, _ index: Int) throws -> Tensor? {
        let loss: Tensor
        do {
            loss = try module.trainingStep(batch, batchIndex: index)
        } catch is SkipBatch {
            return nil
        }
        guard loss.elementCount == 1 else {
            throw TrainingError("trainingStep returned a loss of shape \(loss.shape); a loss is one number")
        }
        let value = loss.item
        guard value.isFinite || trainer.configuration.allowsNonFiniteLoss else {
            throw TrainingError(
                "the loss became \(value) at epoch \(trainer.progress.epoch), batch \(index), after \(trainer.progress.step) optimizer steps; lower the learning rate, clip gradients (trainer.gradientClipNorm), or look at this batch's data. The last checkpoint is unharmed"
            )
        }
        return loss
    }

    private func afterStep() throws {
        let interval = trainer.configuration.logEverySteps
        if interval > 0, trainer.progress.step % interval == 0 {
            try trainer.logToLoggers(trainer.logging.takeStepValues())
        }
        for callback in trainer.callbacks { try callback.onMetricsReady(trainer, module, .optimizerStep) }
    }

    // MARK: - Validation

    /// Whether the fit validates at all.
    var validatesInFit: Bool {
        let flags = trainer.configuration
        let interval = flags.validateEverySteps ?? flags.validateEveryBatches ?? flags.validateEveryEpochs
        return validation != nil && interval > 0
    }

    /// Whether a validation falls due in the window of batches that ends with `index`.
    private func isValidationDue(afterBatches count: Int, upTo index: Int, _ isLast: Bool, _ steps: Bool) -> Bool {
        guard validatesInFit else { return false }
        let flags = trainer.configuration
        if let interval = flags.validateEverySteps { return steps && trainer.progress.step % interval == 0 }
        if let interval = flags.validateEveryBatches { return (index + 1) / interval > (index + 1 - count) / interval }
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
        try trainer.advanceSchedules(.validation)
        trainer.logging.scope = .trainingEpoch
        // At the end of an epoch, callbacks look at its metrics when those of training are final too.
        guard trainer.progress.batchInEpoch < trainer.trainBatchCount else { return false }
        for callback in trainer.callbacks { try callback.onMetricsReady(trainer, module, .validation) }
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
        try trainer.call({ try $0.onTrainEpochEnd(trainer, module) }, { try module.onTrainEpochEnd() })
        let entries = try trainer.logging.training.reduced(
            over: trainer.strategy, in: module, tag: "metrics of a training epoch")
        try trainer.logToLoggers(trainer.logging.finish(entries))
        if isComplete {
            trainer.progress.advanceEpoch()
            LoggedMetrics.reset(entries, in: module)
            trainer.logging.training.reset()
            try trainer.advanceSchedules(.epoch)
        }
        for callback in trainer.callbacks { try callback.onMetricsReady(trainer, module, .epoch) }
        trainer.logging.fresh.removeAll()
        let control = try trainer.agree(on: "the end of an epoch")
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
    /// What this rank has to say at an optimizer step.
    func stepControl(samples: Int) -> StepControl {
        StepControl(samples: samples, stops: stopReason != nil, signal: SignalWatch.signal)
    }

    /// Exchanges stops and signals outside of an optimizer step.
    func agree(on occasion: String) throws -> StepControl {
        let own = stepControl(samples: 0)
        let signals = SignalWatch.signals
        let sums = try strategy.sum(
            [own.stops ? 1 : 0] + signals.map { own.signal == $0 ? 1 : 0 }, tag: occasion)
        let signal = signals.indices.last { sums[$0 + 1] > 0 }.map { signals[$0] }
        return StepControl(samples: 0, stops: sums[0] > 0, signal: signal ?? 0)
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
