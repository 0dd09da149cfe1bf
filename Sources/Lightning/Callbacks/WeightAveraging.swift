import NN
import Tensors

/// Keeps an average of the weights beside those that are trained; evaluation, checkpoints and the end use the average.
///
/// Validation and tests during a fit run on the average, and when training ends the module has it. A checkpoint holds
/// the average as the model, ready for use, and the weights in training besides, so that a run goes on exactly. All
/// ranks average alike, since all have the same weights.
///
/// The average here is the mean of all updates. Subclasses say when to update and how: ``EMAWeightAveraging`` is one.
open class WeightAveraging: Callback {
    private let averagesBuffers: Bool
    private var average = StateDictionary()
    /// The weights in training, while the module has the average.
    private var training: StateDictionary?
    /// Whether a fit is going on; after it the module has the average, and keeps it.
    private var isTraining = false
    /// The updates that the average was made of.
    public private(set) var updateCount = 0

    /// An average of weights.
    ///
    /// - Parameter averagesBuffers: Whether buffers of floating-point numbers, such as running moments, are averaged
    ///   too; otherwise they are those in training.
    public init(averagesBuffers: Bool = true) { self.averagesBuffers = averagesBuffers }

    /// Whether to update after this optimizer step (counted from 0).
    open func updates(afterStep step: Int, epoch: Int) -> Bool { true }

    /// The new average of a tensor; by default the mean of `count` values before and this one.
    open func averaged(_ average: Tensor, with value: Tensor, after count: Int) -> Tensor {
        average + (value - average) * (1 / Double(count + 1))
    }

    /// The average by key; empty before the first update.
    public final var averagedWeights: StateDictionary { average }

    private func update(from module: LightningModule) {
        withoutGradient {
            for (key, parameter) in module.namedParameters { update(key, parameter.value.detached, averages: true) }
            for (key, buffer) in module.namedBuffers where buffer.isPersistent {
                update(key, buffer.value, averages: averagesBuffers)
            }
        }
        updateCount += 1
    }

    private func update(_ key: String, _ value: Tensor, averages: Bool) {
        guard let old = average[key], averages, value.dtype.isFloatingPoint else {
            average[key] = value.copied()
            return
        }
        average[key] = averaged(old, with: value, after: updateCount)
    }

    /// Gives the module the average.
    private func swapIn(_ trainer: Trainer, _ module: LightningModule) throws {
        guard updateCount > 0, training == nil else { return }
        training = module.stateDictionary
        try module.load(average)
        // Buffers are a rank's own: evaluation is on rank 0's.
        try trainer.strategy.synchronizeBuffers(module)
    }

    /// Gives the module the weights in training.
    private func swapOut(_ module: LightningModule) throws {
        guard let own = training else { return }
        training = nil
        try module.load(own)
    }

    // MARK: - Hooks

    /// Forgets another run.
    public override final func onFitStart(_ trainer: Trainer, _ module: LightningModule) {
        isTraining = true
        guard !trainer.isResuming else { return }
        (average, training, updateCount) = (StateDictionary(), nil, 0)
    }

    /// Updates the average, after an optimizer step.
    public override final func onMetricsReady(
        _ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment
    ) throws {
        guard moment == .optimizerStep else { return }
        if updates(afterStep: trainer.progress.step - 1, epoch: trainer.currentEpoch) { update(from: module) }
    }

    /// Evaluation is on the average.
    public override final func onValidationStart(_ trainer: Trainer, _ module: LightningModule) throws {
        if isTraining { try swapIn(trainer, module) }
    }

    /// Training goes on with the weights in training.
    public override final func onValidationEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        if isTraining { try swapOut(module) }
    }

    /// The module keeps the average.
    public override final func onTrainEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        try swapIn(trainer, module)
        isTraining = false
    }

    /// A run that failed while it evaluated leaves the weights in training.
    public override final func onException(_ trainer: Trainer, _ module: LightningModule, _ error: any Error) {
        if isTraining { try? swapOut(module) }
        isTraining = false
    }

    // MARK: - State

    /// How many updates there were.
    public override final func saveState() throws -> String? { updateCount == 0 ? nil : try JSON.encode(updateCount) }

    /// How many updates there were.
    public override final func loadState(_ state: String) throws {
        updateCount = try JSON.decode(Int.self, from: state)
    }

    /// The average is the model; the weights in training lie beside it.
    public override final func onSaveCheckpoint(
        _ trainer: Trainer, _ module: LightningModule, _ checkpoint: inout Checkpoint
    ) throws {
        guard updateCount > 0 else { return }
        checkpoint.callbacks[stateKey] = training ?? checkpoint.model
        checkpoint.model = average
    }

    /// Takes the average from the model, and puts the weights in training in its place.
    public override final func onLoadCheckpoint(
        _ trainer: Trainer, _ module: LightningModule, _ checkpoint: Checkpoint
    ) throws {
        training = nil
        guard let own = checkpoint.callbacks[stateKey] else {
            (average, updateCount) = (StateDictionary(), 0)
            return
        }
        average = module.stateDictionary  // the checkpoint's model, in the precision of this run
        try module.load(own)
    }
}

/// An exponential moving average of the weights: after each update, average ← decay · average + (1 − decay) · weights.
///
/// The first update is a copy.
public final class EMAWeightAveraging: WeightAveraging {
    private let decay: Double
    private let everySteps: Int
    private let startStep: Int
    private let startEpoch: Int

    /// A moving average.
    ///
    /// - Parameters:
    ///   - decay: The share of the old average.
    ///   - everySteps: Optimizer steps from one update to the next.
    ///   - startStep: The first optimizer step (from 0) after which it is updated.
    ///   - startEpoch: The first epoch (from 0) in which it is updated.
    ///   - averagesBuffers: Whether buffers of floating-point numbers are averaged too.
    public init(
        decay: Double = 0.999, everySteps: Int = 1, startStep: Int = 0, startEpoch: Int = 0,
        averagesBuffers: Bool = true
    ) {
        self.decay = decay
        self.everySteps = everySteps
        self.startStep = startStep
        self.startEpoch = startEpoch
        super.init(averagesBuffers: averagesBuffers)
    }

    /// Checks the numbers.
    public override func setup(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {
        guard (0...1).contains(decay), everySteps > 0 else {
            throw TrainingError("EMAWeightAveraging: decay \(decay) is in 0 … 1, everySteps \(everySteps) at least 1")
        }
    }

    /// Every so many steps, from the beginning asked for.
    public override func updates(afterStep step: Int, epoch: Int) -> Bool {
        step >= startStep && epoch >= startEpoch && step % everySteps == 0
    }

    /// decay · average + (1 − decay) · value.
    public override func averaged(_ average: Tensor, with value: Tensor, after count: Int) -> Tensor {
        average + (value - average) * (1 - decay)
    }
}
