import Optimizers
import Tensors

/// A module that applies gradients itself, with as many optimizers as it likes: for adversarial networks,
/// reinforcement learning, sparse coding.
///
/// ```swift
/// func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws {
///     let optimizer = optimizers()[0]
///     optimizer.zeroGradients()
///     try manualBackward(crossEntropy(body(batch.inputs), batch.labels))
///     try optimizer.step()
/// }
/// ```
///
/// On many ranks all of them must apply and clip gradients alike, so every batch must have a sample for each rank. Of
/// the hooks around an optimizer step these are called: `onBeforeBackward`, `backward` and `onAfterBackward`, when
/// gradients are still a rank's own, and `onBeforeOptimizerStep`, when they are those of all ranks.
public protocol ManualTrainingModule<TrainingBatch>: TrainableModule {
    /// What the step receives.
    associatedtype TrainingBatch  // again, so that it is inferred from the step

    /// Does everything with a batch, updates included.
    ///
    /// - Throws: ``SkipBatch`` to leave the batch out; on many ranks all must.
    func trainingStep(_ batch: TrainingBatch, batchIndex: Int) throws

    /// The optimizers; their schedules move when ``LightningModule/learningRateSchedulers()`` are told to.
    func configureOptimizers() throws -> [OptimizerConfiguration]
}

extension ManualTrainingModule {
    /// Adds the gradients of a loss to those of the parameters it depends on.
    ///
    /// - Parameter loss: The mean over this rank's samples; it is weighted by their share of the batch of all ranks.
    /// - Throws: ``TrainingError`` when the loss is not one finite number.
    public func manualBackward(_ loss: Tensor) throws {
        guard let state = trainer.manualState else {
            throw TrainingError("manualBackward: gradients are computed in a fit only")
        }
        try trainer.check(loss: loss)
        let weighted = trainer.worldSize > 1 ? loss * state.share : loss
        try trainer.call(
            .onBeforeBackward, { try $0.onBeforeBackward(trainer, self, weighted) }, { try onBeforeBackward(weighted) })
        try trainer.runBackward(self, weighted)
        try trainer.call(.onAfterBackward, { try $0.onAfterBackward(trainer, self) }, { try onAfterBackward() })
    }

    /// Clips the gradients of an optimizer, summed over all ranks first; the next update applies them as they are then.
    ///
    /// Every rank must call it, after the last backward pass of the update.
    /// - Returns: Their norm before, for `.norm`.
    @discardableResult
    public func clipGradients(_ optimizer: LightningOptimizer, _ clipping: GradientClipping) throws -> Double? {
        try optimizer.clip(clipping)
    }

    /// Lets gradients flow to the parameters of one optimizer alone.
    ///
    /// Parameters it shares with other optimizers are its own too; those that were frozen before stay so.
    /// - Parameters:
    ///   - optimizer: Gets gradients.
    ///   - synchronizesGradients: Whether it may apply them, and with it sum them over all ranks, before it is
    ///     untoggled; `false` for a backward pass whose gradients are only gathered.
    /// - Throws: ``TrainingError`` when an optimizer is toggled already.
    public func toggleOptimizer(_ optimizer: LightningOptimizer, synchronizesGradients: Bool = true) throws {
        try optimizer.manual("toggleOptimizer").state.toggle(optimizer, synchronizes: synchronizesGradients)
    }

    /// Lets gradients flow as before ``toggleOptimizer(_:synchronizesGradients:)``.
    ///
    /// - Throws: ``TrainingError`` when the optimizer is not toggled.
    public func untoggleOptimizer(_ optimizer: LightningOptimizer) throws {
        try optimizer.manual("untoggleOptimizer").state.untoggle(optimizer)
    }

    /// Lets gradients flow to the parameters of one optimizer alone while `body` runs, also when it throws.
    public func withToggledOptimizer<Result>(
        _ optimizer: LightningOptimizer, synchronizesGradients: Bool = true, _ body: () throws -> Result
    ) throws -> Result {
        try toggleOptimizer(optimizer, synchronizesGradients: synchronizesGradients)
        let result: Result
        do {
            result = try body()
        } catch {
            try untoggleOptimizer(optimizer)
            throw error
        }
        try untoggleOptimizer(optimizer)
        return result
    }
}
