import NN
import Optimizers
import Tensors

/// What is done with a training batch between the hooks around it.
protocol BatchOptimization<Batch> {
    /// What loaders yield.
    associatedtype Batch: DataBatch
    /// Computes the gradients of a batch and applies them when it is time.
    ///
    /// - Parameters:
    ///   - batch: This rank's samples; nil when it has none, or leaves them out.
    ///   - index: The batch in the epoch.
    ///   - window: What has been gathered since parameters were last updated.
    func run(_ batch: Batch?, _ index: Int, _ window: inout AccumulationWindow) throws -> BatchOutcome
    /// Computes a step without gradients, for what layers remember of their inputs.
    ///
    /// - Throws: ``TrainingError`` when a step cannot be told from its updates.
    func runForward(_ batch: Batch, _ index: Int) throws
}

/// The batches whose gradients make one optimizer step.
struct AccumulationWindow {
    /// Samples of this rank so far.
    var samples = 0
    /// Batches so far, the present one included.
    var batches = 0
    /// Whether it ends with the present batch.
    var ends = false
    /// Whether several batches may make a step.
    var gathers = false
    /// Samples of the present batch over all ranks.
    private(set) var globalCount = 0
    /// This rank's share of them.
    private(set) var share = 0.0
    /// Whether this rank wants the rest of the epoch left out: it joins the window's end with what it has.
    var skipsEpoch = false

    /// Begins a batch with so many samples of this rank among those of all.
    mutating func add(_ count: Int, of globalCount: Int) {
        batches += 1
        self.globalCount = globalCount
        share = Double(count) / Double(globalCount)
    }
}

/// What came of a batch.
struct BatchOutcome {
    /// What the step returned; nil when it skipped the batch, or returns nothing.
    var loss: Tensor?
    /// What the ranks agreed on in an optimizer step; nil without one.
    var control: StepControl?
    /// The samples of all ranks that are done with, those of a whole window at its end.
    var samples = 0
    /// Whether the rest of the epoch is left out.
    var skipsEpoch = false
}

/// The document's order: forward, clear gradients, backward, update.
struct AutomaticOptimization<M: TrainingModule>: BatchOptimization {
    let trainer: Trainer
    let module: M
    let optimizer: Optimizer

    func run(_ batch: M.TrainingBatch?, _ index: Int, _ window: inout AccumulationWindow) throws -> BatchOutcome {
        // Forward.
        trainer.gathersInBackward = false
        let loss = try batch.flatMap { try step($0, index) }

        // Clear gradients.
        if window.batches == 1, window.skipsEpoch {
            optimizer.zeroGradients()  // the other ranks' gradients may still come
        } else if window.batches == 1 {
            try trainer.call(
                .onBeforeZeroGrad, { try $0.onBeforeZeroGrad(trainer, module, optimizer) },
                { try module.onBeforeZeroGrad(optimizer) })
            try trainer.timed(.optimizerZeroGrad, module) {
                try module.optimizerZeroGrad(epoch: trainer.progress.epoch, batchIndex: index, optimizer: optimizer)
            }
        }

        // Backward. Gradients are sums weighted by samples, over micro-batches and ranks, divided once.
        if loss != nil { trainer.logging.training.hasBatches = true }
        let samples = loss == nil ? 0 : batch?.sampleCount ?? 0
        window.samples += samples
        let isWeighted = trainer.worldSize > 1 || window.gathers
        // Gradients travel while the backward pass goes on, but not beside collectives of its own.
        let travelsLate = trainer.gathersInBackward
        if window.ends, !travelsLate { begin(window, isWeighted) }
        if let loss {
            let weighted = isWeighted ? loss * Double(samples) : loss
            try trainer.call(
                .onBeforeBackward, { try $0.onBeforeBackward(trainer, module, weighted) },
                { try module.onBeforeBackward(weighted) })
            try trainer.runBackward(module, weighted)
        }
        if window.ends, travelsLate { begin(window, isWeighted) }
        let control = window.ends ? try trainer.timed(.finishGradients) { try trainer.strategy.finishStep() } : nil
        // When all ranks skipped there is nothing to update by. Otherwise even a rank without samples holds the gradients
        // of all now, and what is done to them must be done on every rank.
        let updates = (control?.samples ?? 0) > 0
        if loss != nil || updates {
            try trainer.call(
                .onAfterBackward, { try $0.onAfterBackward(trainer, module) }, { try module.onAfterBackward() })
        }

        // Update parameters.
        if updates {
            try trainer.call(
                .onBeforeOptimizerStep, { try $0.onBeforeOptimizerStep(trainer, module, optimizer) },
                { try module.onBeforeOptimizerStep(optimizer) })
            try trainer.timed(.configureGradientClipping, module) {
                try module.configureGradientClipping(optimizer, clipping: trainer.configuration.clipping)
            }
            trainer.isUpdating = true
            try trainer.timed(.optimizerStep) {
                try module.optimizerStep(epoch: trainer.progress.epoch, batchIndex: index, optimizer: optimizer)
            }
            trainer.countUpdate()
            trainer.isUpdating = false
        }
        return BatchOutcome(
            loss: loss, control: control, samples: control?.samples ?? 0, skipsEpoch: control?.skipsEpoch ?? false)
    }

    func runForward(_ batch: M.TrainingBatch, _ index: Int) throws {
        do {
            _ = try module.trainingStep(batch, batchIndex: index)
        } catch is SkipBatch {}
    }

    private func begin(_ window: AccumulationWindow, _ isWeighted: Bool) {
        var control = trainer.stepControl(samples: window.samples)
        control.skipsEpoch = window.skipsEpoch
        trainer.strategy.beginStep(control, averages: isWeighted)
    }

    /// The module's step, with a loss that can be differentiated; nil when the module skips the batch.
    private func step(_ batch: M.TrainingBatch, _ index: Int) throws -> Tensor? {
        do {
            let loss = try trainer.timed(.trainingStep) {
                try trainer.watched { try module.trainingStep(batch, batchIndex: index) }
            }
            try trainer.check(loss: loss)
            return loss
        } catch is SkipBatch {
            return nil
        }
    }
}

extension Trainer {
    /// Checks that a loss is one finite number.
    func check(loss: Tensor) throws {
        guard loss.elementCount == 1 else {
            throw TrainingError("the loss has shape \(loss.shape); a loss is one number")
        }
        let value = loss.item
        guard value.isFinite || configuration.allowsNonFiniteLoss else {
            throw TrainingError(
                "the loss became \(value) at epoch \(progress.epoch), batch \(progress.batchInEpoch), after \(progress.step) optimizer steps; lower the learning rate, clip gradients (trainer.gradientClipNorm), or look at this batch's data. The last checkpoint is unharmed"
            )
        }
    }

    /// Notes an update by the optimizer that the trainer applies.
    func countUpdate() {
        lightningOptimizers.first?.updateCount += 1
        progress.advanceStep()
    }
}
