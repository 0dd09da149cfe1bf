import NN

/// Changes from epoch to epoch how many batches make one optimizer step.
public final class GradientAccumulationScheduler: Callback {
    private let batches: [Int: Int]

    /// A plan.
    ///
    /// - Parameter batches: By the epoch (from 0) from which on it holds: `[0: 8, 4: 4, 8: 1]`. Before the first of
    ///   them it is 1.
    public init(_ batches: [Int: Int]) { self.batches = batches }

    /// The batches that make an optimizer step in an epoch.
    public func batches(inEpoch epoch: Int) -> Int {
        batches.filter { $0.key <= epoch }.max { $0.key < $1.key }?.value ?? 1
    }

    /// Checks the plan.
    public override func setup(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {
        let wrong = batches.sorted { $0.key < $1.key }.first { $0.key < 0 || $0.value < 1 }
        if batches.isEmpty { throw TrainingError("GradientAccumulationScheduler: the plan is empty") }
        if let wrong {
            throw TrainingError(
                "GradientAccumulationScheduler: \(wrong.value) batches from epoch \(wrong.key) on; epochs count from 0, and a step takes at least one batch"
            )
        }
        if module is any ManualTrainingModule {
            throw TrainingError(
                "\(type(of: module)) applies gradients itself, so that GradientAccumulationScheduler cannot gather them: remove the callback"
            )
        }
        if trainer.configuration.accumulateGradientBatches != 1 {
            throw TrainingError(
                "GradientAccumulationScheduler and accumulateGradientBatches exclude each other; put 0: \(trainer.configuration.accumulateGradientBatches) into the plan"
            )
        }
    }

    /// In the middle of an epoch, when a run goes on there, its number holds already.
    public override func onTrainStart(_ trainer: Trainer, _ module: LightningModule) { apply(trainer) }
    /// A window of batches never reaches into another epoch.
    public override func onTrainEpochStart(_ trainer: Trainer, _ module: LightningModule) { apply(trainer) }

    private func apply(_ trainer: Trainer) {
        trainer.accumulateGradientBatches = batches(inEpoch: trainer.currentEpoch)
    }
}
