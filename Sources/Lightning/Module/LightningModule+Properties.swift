import MPI
import Tensors

extension LightningModule {
    /// The trainer that runs this module.
    ///
    /// - Precondition: a run is going on; ask ``attachedTrainer`` where there may be none.
    public final var trainer: Trainer {
        guard let attachedTrainer else { fail("\(Self.self) is not attached to a Trainer") }
        return attachedTrainer
    }

    /// The number of epochs completed; 0 without a trainer.
    public final var currentEpoch: Int { attachedTrainer?.currentEpoch ?? 0 }
    /// The number of optimizer steps taken in all epochs; 0 without a trainer.
    public final var globalStep: Int { attachedTrainer?.globalStep ?? 0 }
    /// This process among all of the job, with and without a trainer.
    public final var globalRank: Int { topology.globalRank }
    /// This process among those of its node, with and without a trainer.
    public final var localRank: Int { topology.localRank }
    /// This process's node among all nodes, with and without a trainer.
    public final var nodeRank: Int { topology.nodeRank }
    /// The number of processes, with and without a trainer.
    public final var worldSize: Int { topology.worldSize }

    /// The trainer is known weakly, and may be gone when the module is not: the world is still the same.
    private var topology: Topology { attachedTrainer?.strategy.topology ?? World.known.topology }

    /// The number types of the run; `float32` without a trainer.
    public final var precision: Precision { attachedTrainer?.configuration.precision ?? .float32 }
    /// The first logger, if there is one.
    public final var logger: (any MetricLogger)? { attachedTrainer?.loggers.first }
    /// All loggers.
    public final var loggers: [any MetricLogger] { attachedTrainer?.loggers ?? [] }

    /// Where parameters and batches are: always the CPU, here for code that is to say so.
    public final var device: Device { .cpu }

    /// Whether the trainer computes and applies gradients; false for a ``ManualTrainingModule``.
    public final var automaticOptimization: Bool { !(self is any ManualTrainingModule) }

    /// The optimizers of the present fit, in the order of `configureOptimizers`; none outside of a fit.
    public final func optimizers() -> [LightningOptimizer] { attachedTrainer?.lightningOptimizers ?? [] }

    /// The learning-rate schedules of the present fit, optimizer by optimizer; none outside of a fit.
    public final func learningRateSchedulers() -> [LearningRateScheduler] {
        attachedTrainer?.learningRateSchedulers ?? []
    }

    /// Prints on global rank 0 only, above the progress bar.
    public final func print(_ items: Any..., separator: String = " ") {
        let text = items.map { "\($0)" }.joined(separator: separator)
        if let attachedTrainer { attachedTrainer.print(text) } else if globalRank == 0 { Swift.print(text) }
    }
}
