import DataLoading
import Foundation
import NN
import Optimizers
import Tensors

/// What a search for a batch size has found.
public struct BatchSizeCurve: Sendable, Codable, Equatable {
    /// What ended a search.
    public enum End: String, Sendable, Codable {
        /// Larger batches are hardly faster.
        case gain
        /// The next batch would not fit into memory.
        case memory
        /// The next batch would be larger than the data, or than was allowed.
        case size
    }

    /// The batch sizes tried, each twice the one before.
    public var sizes: [Int] = []
    /// Samples of all ranks per second with each.
    public var samplesPerSecond: [Double] = []
    /// Resident memory with each, of the rank with most.
    public var residentBytes: [Double] = []
    /// What ended the search.
    public var end = End.size
    /// The size to take: the largest that was faster than the one before by the share asked for.
    public var suggestion = 0
}

extension Trainer {
    /// Trains for some steps with growing batches, and says from which size on they are hardly faster; the module is left as
    /// it was.
    ///
    /// On a processor there is no sharp limit of memory as on a device: a batch that is too large makes the machine swap, or
    /// ends the program. So the search stops before it, and before that where larger batches gain nothing. All ranks find
    /// the same: rank 0's clock decides, and the rank with the most memory. A larger batch wants another learning rate: find
    /// that afterwards, with `findLearningRate`.
    /// - Parameters:
    ///   - module: What to train.
    ///   - sizes: The first size and the largest, as `train` takes them.
    ///   - steps: Optimizer steps that are measured with each, after one that is not.
    ///   - gain: The share by which twice the batch must be faster.
    ///   - memory: Bytes a rank may have resident; by default its share of three quarters of the machine's memory.
    ///   - train: Training batches of a size.
    public func findBatchSize<M: TrainingModule>(
        _ module: M, sizes: ClosedRange<Int> = 2...8192, steps: Int = 3, gain: Double = 0.05, memory: Double? = nil,
        train: (Int) throws -> DataLoader<M.TrainingBatch>
    ) throws -> BatchSizeCurve {
        guard sizes.lowerBound > 0, steps > 0 else {
            throw TrainingError("findBatchSize: sizes \(sizes) are positive, and \(steps) steps at least one")
        }
        let limit =
            memory ?? 0.75 * Double(ProcessInfo.processInfo.physicalMemory) / Double(strategy.topology.localSize)
        var curve = BatchSizeCurve()
        var size = sizes.lowerBound
        while size <= sizes.upperBound {
            let loader = try train(size)
            let sampler = try sampler(of: loader, shuffledByDefault: true, epoch: 0)
            guard sampler.isStream || sampler.count >= sampler.globalBatchSize else { break }
            let stopwatch = Stopwatch()
            try tryOut(module, train: loader, steps: steps + 1, stopwatch)
            // Rank 0's time; the memory of the rank with most, from a list by rank.
            let own = [isGlobalZero ? stopwatch.seconds : 0, isGlobalZero ? stopwatch.samples : 0]
            let sums = try strategy.sum(own, tag: "the time of a batch size")
            let resident = try strategy.gather(
                Tensor([ProcessStatistics.now().residentBytes]), tag: "the memory of a batch size")
            curve.sizes.append(size)
            curve.samplesPerSecond.append(sums[1] / max(sums[0], 1e-9))
            curve.residentBytes.append(resident.map(\.item).max() ?? 0)
            let isFaster =
                curve.sizes.count == 1
                || curve.samplesPerSecond[curve.sizes.count - 1]
                    >= (1 + gain) * curve.samplesPerSecond[curve.sizes.count - 2]
            guard isFaster else {
                curve.end = .gain
                break
            }
            curve.suggestion = size
            // Memory grows with the batch: twice as much as the last time.
            let newest = curve.residentBytes.suffix(2)
            let growth = max(0, (newest.last ?? 0) - (newest.first ?? 0))
            guard (newest.last ?? 0) + 2 * growth <= limit else {
                curve.end = .memory
                break
            }
            size *= 2
        }
        guard !curve.sizes.isEmpty else {
            throw TrainingError(
                "findBatchSize: there are fewer samples than one batch of \(sizes.lowerBound) takes; begin with a smaller size"
            )
        }
        return curve
    }
}

/// Takes the time of all optimizer steps but the first.
private final class Stopwatch: Callback {
    private var began: (seconds: Double, samples: Int)?
    private(set) var seconds = 0.0
    private(set) var samples = 0.0

    override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) {
        guard moment == .optimizerStep else { return }
        guard let began else { return self.began = (trainer.seconds, trainer.progress.samples) }
        seconds = trainer.seconds - began.seconds
        samples = Double(trainer.progress.samples - began.samples)
    }
}
