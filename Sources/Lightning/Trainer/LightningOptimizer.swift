import Optimizers
import Tensors

/// An optimizer of a fit, as a module with manual optimization uses it: it counts its updates, and sums gradients over
/// all ranks once for each.
///
/// ``LightningModule/optimizers()`` gives them.
public final class LightningOptimizer {
    /// The optimizer itself, with its groups and learning rates; its own `step()` neither sums gradients nor counts.
    public let optimizer: Optimizer
    /// Its place in what `configureOptimizers` returned.
    public let index: Int
    /// The updates it has made in all epochs; those of all optimizers together are ``Trainer/globalStep``.
    public internal(set) var updateCount = 0
    /// Whether the present gradients are those of all ranks.
    private(set) var isSynchronized = false
    private weak var trainer: Trainer?

    init(_ optimizer: Optimizer, index: Int, _ trainer: Trainer) {
        self.optimizer = optimizer
        self.index = index
        self.trainer = trainer
    }

    /// Forgets the gradients of all its parameters.
    public func zeroGradients() {
        isSynchronized = false
        optimizer.zeroGradients()
    }

    /// Applies the gradients, summed over all ranks first.
    ///
    /// Every rank must call it. `onBeforeOptimizerStep` is called in between.
    /// - Parameter closure: Computes the gradients, if they are not there yet.
    /// - Throws: ``TrainingError`` when the trainer applies gradients by itself, and under a toggle that does not
    ///   synchronise.
    public func step(_ closure: () throws -> Void = {}) throws {
        let (trainer, state) = try manual("step()")
        try closure()
        try synchronize(state)
        guard let module = trainer.module else { return }
        try trainer.call(
            .onBeforeOptimizerStep, { try $0.onBeforeOptimizerStep(trainer, module, optimizer) },
            { try module.onBeforeOptimizerStep(optimizer) })
        try state.checkFresh(self)
        trainer.timed(.optimizerStep) { optimizer.step() }
        isSynchronized = false
        updateCount += 1
        trainer.progress.advanceStep()
    }

    /// Clips the gradients, summed over all ranks first.
    ///
    /// Every rank must call it.
    /// - Returns: Their norm before, for `.norm`.
    @discardableResult
    func clip(_ clipping: GradientClipping) throws -> Double? {
        try synchronize(manual("clipGradients").state)
        return clipping.clip(optimizer.parameters)
    }

    private func synchronize(_ state: ManualState) throws {
        if isSynchronized { return try state.checkFresh(self) }
        try state.synchronize(self)
        isSynchronized = true
    }

    /// The trainer, when it leaves updates to the module.
    func manual(_ caller: String) throws -> (trainer: Trainer, state: ManualState) {
        guard let trainer, let state = trainer.manualState else {
            throw TrainingError(
                "\(caller): the trainer applies gradients by itself; to do it yourself, conform to ManualTrainingModule"
            )
        }
        return (trainer, state)
    }
}
