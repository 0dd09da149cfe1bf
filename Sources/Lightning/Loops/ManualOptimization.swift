import NN
import Optimizers
import Tensors

/// Training whose module decides itself when to clear, compute, sum and apply gradients.
///
/// Gradients are summed when an optimizer applies (or clips) them: once per update, only that optimizer's, after all
/// backward passes. Until then they are a rank's own. Losses are weighted by the rank's share of the batch, so a sum over
/// ranks is what one rank with all samples would have, also when a step gathers several batches of different sizes.
struct ManualOptimization<M: ManualTrainingModule>: BatchOptimization {
    let trainer: Trainer
    let module: M
    let state: ManualState

    func runForward(_ batch: M.TrainingBatch, _ index: Int) throws {
        throw TrainingError(
            "\(M.self) applies gradients itself, so that its step cannot be run over the data without training: StochasticWeightAveraging cannot renew the moments of its layers"
        )
    }

    func run(_ batch: M.TrainingBatch?, _ index: Int, _ window: inout AccumulationWindow) throws -> BatchOutcome {
        guard let batch else { return BatchOutcome(skipsEpoch: window.skipsEpoch) }
        state.beginBatch(share: window.share)
        defer { state.endBatch() }
        do {
            try trainer.timed(.trainingStep) {
                try trainer.watched { try module.trainingStep(batch, batchIndex: index) }
            }
        } catch is SkipBatch {
            trainer.irregularSoFar.skipped += 1
            return BatchOutcome(control: state.control)
        }
        trainer.logging.training.hasBatches = true
        return BatchOutcome(control: state.control, samples: window.globalCount)
    }
}

/// What the optimizers of a manually optimized module share during a fit.
final class ManualState {
    unowned let trainer: Trainer
    /// What a mean over this rank's samples counts in the mean over all.
    private(set) var share: Double
    /// What the ranks told each other in the updates of the present batch; nil without one.
    private(set) var control: StepControl?
    /// The optimizer that alone gets gradients, and what was trainable before.
    private var toggle: (index: Int, synchronizes: Bool, remembered: [(parameter: Parameter, wasTrainable: Bool)])?
    /// A parameter that got a gradient although its gradients are summed already, by optimizer.
    private var stale: [Int: String] = [:]

    init(_ trainer: Trainer) {
        self.trainer = trainer
        share = 1 / Double(trainer.worldSize)
    }

    func beginBatch(share: Double) {
        self.share = share
        control = nil
    }

    func endBatch() { share = 1 / Double(trainer.worldSize) }

    // MARK: - Sums

    /// Sums the gradients of an optimizer over all ranks.
    ///
    /// - Throws: ``TrainingError`` under a toggle that says no.
    func synchronize(_ optimizer: LightningOptimizer) throws {
        if let toggle, !toggle.synchronizes {
            throw TrainingError(
                "optimizer \(optimizer.index) is to apply gradients under a toggle with synchronizesGradients: false; the ranks' weights would part. Apply them after the toggle"
            )
        }
        stale[optimizer.index] = nil
        watch(optimizer)
        let looksForUnused = trainer.looksForUnused(ofOptimizer: optimizer.index)
        let unused = looksForUnused ? Trainer.namesWithoutGradient(optimizer.optimizer.parameters) : []
        let said = try trainer.strategy.sumGradients(
            ofOptimizer: optimizer.index, trainer.stepControl(samples: 0))
        if looksForUnused {
            try trainer.report(
                withoutGradient: unused, ofOptimizer: optimizer.index,
                in: "the first step of optimizer \(optimizer.index)")
        }
        control = StepControl(
            stops: said.stops || control?.stops == true, signal: max(said.signal, control?.signal ?? 0),
            validates: said.validates || control?.validates == true)
    }

    /// A gradient that comes after the sum would be one rank's own.
    private func watch(_ optimizer: LightningOptimizer) {
        for parameter in optimizer.optimizer.parameters {
            parameter.onGradientReady = { [weak self, weak optimizer] parameter in
                guard let self, let optimizer, optimizer.isSynchronized else { return }
                stale[optimizer.index] = parameter.name
            }
        }
    }

    /// Checks that an optimizer still has the gradients it had when they were summed.
    func checkFresh(_ optimizer: LightningOptimizer) throws {
        guard let name = stale[optimizer.index] else { return }
        throw TrainingError(
            "parameter '\(name)' got a gradient after the gradients of optimizer \(optimizer.index) were clipped, and with it summed over the ranks; clip after the last backward pass of a step"
        )
    }

    // MARK: - Toggles

    func toggle(_ optimizer: LightningOptimizer, synchronizes: Bool) throws {
        if let toggle {
            throw TrainingError(
                "optimizer \(toggle.index) is toggled already; untoggle it before optimizer \(optimizer.index) is")
        }
        let all = trainer.optimizers.flatMap(\.parameters)
        toggle = (optimizer.index, synchronizes, all.map { ($0, $0.requiresGradient) })
        let own = Set(optimizer.optimizer.parameters.map { ObjectIdentifier($0) })
        for parameter in all where !own.contains(ObjectIdentifier(parameter)) { parameter.requiresGradient = false }
    }

    func untoggle(_ optimizer: LightningOptimizer) throws {
        guard let toggle, toggle.index == optimizer.index else {
            throw TrainingError("optimizer \(optimizer.index) is to be untoggled, and is not toggled")
        }
        self.toggle = nil
        let own = Set(optimizer.optimizer.parameters.map { ObjectIdentifier($0) })
        for (parameter, wasTrainable) in toggle.remembered where !own.contains(ObjectIdentifier(parameter)) {
            parameter.requiresGradient = wasTrainable
        }
    }
}
