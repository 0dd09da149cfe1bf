import Foundation
import Lightning

/// Trains a workload's network, and takes the time at each training step.
final class MeasuredModule: LightningModule, TrainingModule {
    private let network: any Layer
    private let optimizerName: String
    private let warmup: Int
    private let logs: Bool
    private var stamps: [UInt64] = []
    private var firstStep = 0.0
    private var countsAfterWarmup = MemoryPool.counts
    private var faultsAfterWarmup = 0
    private var lastLoss = 0.0

    init(_ workload: Workload, _ optimizer: String, warmup: Int, logs: Bool) {
        network = workload.network()
        optimizerName = optimizer
        self.warmup = warmup
        self.logs = logs
    }

    /// From one training step to the next is one whole step.
    func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
        stamps.append(DispatchTime.now().uptimeNanoseconds)
        if stamps.count == 2 { firstStep = ProcessFigures.secondsSinceStart }
        if stamps.count == warmup + 1 {
            countsAfterWarmup = MemoryPool.counts
            faultsAfterWarmup = ProcessFigures.pageFaults
        }
        let output = network(batch.inputs)
        let loss = crossEntropy(
            output.rank == 3 ? output.flattened(from: 0, through: 1) : output, batch.labels.reshaped(to: [-1]))
        if logs { log("train_loss", loss, progressBar: true) }
        return loss
    }

    func configureOptimizers() -> OptimizerConfiguration {
        optimizerName == "sgd"
            ? OptimizerConfiguration(SGD(parameters, learningRate: 0.01, momentum: 0.9))
            : OptimizerConfiguration(AdamW(parameters, learningRate: 3e-4, weightDecay: 0.1))
    }

    /// The figures, in the units their names say.
    func report(batch: Int, worldSize: Int) -> [String: Any] {
        let steps = zip(stamps.dropFirst(), stamps).map { Double($0 - $1) / 1e6 }.dropFirst(warmup)
        let sorted = steps.sorted()
        let median = sorted[sorted.count / 2]
        let counts = MemoryPool.counts
        return [
            "framework": "swift-lightning", "ranks": worldSize, "batch": batch, "steps": steps.count,
            "step_ms": median, "mean_ms": steps.reduce(0, +) / Double(steps.count), "min_ms": sorted[0],
            "p10_ms": sorted[sorted.count / 10], "p90_ms": sorted[sorted.count * 9 / 10],
            "samples_per_s": Double(batch * worldSize) / median * 1e3, "first_step_s": firstStep,
            "maxrss_mib": ProcessFigures.largestResidentMebibytes,
            "system_allocations": counts.systemAllocations - countsAfterWarmup.systemAllocations,
            "storage_copies": counts.storageCopies - countsAfterWarmup.storageCopies,
            "page_faults": ProcessFigures.pageFaults - faultsAfterWarmup,
        ]
    }
}
