import MPI
import Tensors

extension LightningModule {
    /// The trainer that runs this module.
    ///
    /// - Precondition: a run is going on; ask ``attachedTrainer`` where there may be none.
    public final var trainer: Trainer {
        guard let attachedTrainer else { fatalError("\(Self.self) is not attached to a Trainer") }
        return attachedTrainer
    }

    /// The number of epochs completed; 0 without a trainer.
    public final var currentEpoch: Int { attachedTrainer?.currentEpoch ?? 0 }
    /// The number of optimizer steps taken in all epochs; 0 without a trainer.
    public final var globalStep: Int { attachedTrainer?.globalStep ?? 0 }
    /// This process among all; 0 without a trainer.
    public final var globalRank: Int { attachedTrainer?.globalRank ?? 0 }
    /// This process among those of its node; 0 without a trainer.
    public final var localRank: Int { attachedTrainer?.localRank ?? 0 }
    /// This process's node among all nodes; 0 without a trainer.
    public final var nodeRank: Int { attachedTrainer?.nodeRank ?? 0 }
    /// The number of processes; 1 without a trainer.
    public final var worldSize: Int { attachedTrainer?.worldSize ?? 1 }
    /// The number types of the run; `float32` without a trainer.
    public final var precision: Precision { attachedTrainer?.configuration.precision ?? .float32 }
    /// The first logger, if there is one.
    public final var logger: (any MetricLogger)? { attachedTrainer?.loggers.first }
    /// All loggers.
    public final var loggers: [any MetricLogger] { attachedTrainer?.loggers ?? [] }

    /// Prints on global rank 0 only, above the progress bar.
    public final func print(_ items: Any..., separator: String = " ") {
        let text = items.map { "\($0)" }.joined(separator: separator)
        if let attachedTrainer { attachedTrainer.print(text) } else { Swift.print(text) }
    }

    /// The tensors of all ranks along a new first dimension, when their shapes agree.
    ///
    /// Every rank must call it. One rank alone gets the same kind of result: a first extent of 1.
    /// - Returns: `[worldSize, …]`, without gradient.
    /// - Throws: What the strategy throws; `CollectiveMismatch` on all ranks when they ask for different things.
    public final func allGather(_ tensor: Tensor) throws -> Tensor {
        let all = try allGatherUnequal(tensor)
        for (rank, other) in all.enumerated() where other.shape != all[0].shape {
            throw TrainingError(
                "allGather: rank 0 gave shape \(all[0].shape) and rank \(rank) gave \(other.shape); use allGatherUnequal"
            )
        }
        return Tensor.stack(all)
    }

    /// The tensors of all ranks, by rank; their shapes may differ.
    ///
    /// Every rank must call it.
    public final func allGatherUnequal(_ tensor: Tensor) throws -> [Tensor] {
        guard let attachedTrainer else { return [tensor.detached] }
        return try attachedTrainer.strategy.gather(tensor, tag: "allGather")
    }
}
