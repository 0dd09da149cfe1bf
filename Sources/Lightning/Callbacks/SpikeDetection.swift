import DataLoading
import Foundation
import NN
import Tensors

/// What ``SpikeDetection`` ends training with.
public struct TrainingSpike: Error, CustomStringConvertible {
    /// The epoch of the batch with the spike.
    public let epoch: Int
    /// The batches to look at, as they are numbered in the epoch: that of the spike, and the one before it.
    public let batches: [Int]
    /// What happened, where, and what to do.
    public let description: String
}

/// Ends training when the loss jumps, and writes down the batches to look at.
///
/// A loss is a spike when it is worse than the one before and differs from the mean of the newest losses by more than a share of
/// that mean. Then the batch may be bad, or the one before it, which may have spoiled the weights: both are added to
/// `spikes.json` in the run's directory. The loss is the mean over the samples of all ranks, so that all find the same; each
/// optimizer step takes one exchange between the ranks for it. A loss that is not finite ends training in any case, unless
/// `allowsNonFiniteLoss` is on: then it is a spike.
public final class SpikeDetection: Callback {
    /// Which direction is an improvement.
    public typealias Mode = ModelCheckpoint.Mode

    private let mode: Mode
    private let window: Int
    private let warmUp: Int
    private let absoluteChange: Double
    private let relativeChange: Double
    private let givenFile: String?
    private var state = State()
    private var own = (loss: 0.0, samples: 0.0)

    private struct State: Codable {
        /// The newest losses, the last one last.
        var losses: [Double] = []
        /// Optimizer steps seen.
        var steps = 0
    }

    /// A line of the file.
    struct Record: Codable, Equatable {
        var epoch: Int
        var batches: [Int]
        var loss: Double
        var mean: Double
    }

    /// A detection.
    ///
    /// - Parameters:
    ///   - mode: Whether smaller or larger losses are better.
    ///   - window: How many of the newest losses make the mean.
    ///   - warmUp: Optimizer steps at the beginning in which nothing is a spike, at least 1.
    ///   - absoluteChange: Differences from the mean below this are no spikes.
    ///   - relativeChange: Differences from the mean below this share of it are no spikes.
    ///   - file: Where batches are written down; by default `spikes.json` in the run's directory.
    public init(
        mode: Mode = .min, window: Int = 10, warmUp: Int = 1, absoluteChange: Double = 0, relativeChange: Double = 2,
        file: String? = nil
    ) {
        self.mode = mode
        self.window = window
        self.warmUp = warmUp
        self.absoluteChange = absoluteChange
        self.relativeChange = relativeChange
        givenFile = file
    }

    /// Checks that what was asked for makes sense.
    public override func setup(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {
        guard window >= 1, warmUp >= 1, absoluteChange >= 0, relativeChange >= 0 else {
            throw TrainingError(
                "SpikeDetection: window \(window) and warmUp \(warmUp) are at least 1, absoluteChange \(absoluteChange) and relativeChange \(relativeChange) at least 0"
            )
        }
        if stage == .fit, module.automaticOptimization == false {
            throw TrainingError(
                "\(type(of: module)) applies gradients itself and returns no loss that SpikeDetection could watch: remove the callback"
            )
        }
    }

    /// Begins anew, unless a run goes on.
    public override func onFitStart(_ trainer: Trainer, _ module: LightningModule) {
        if !trainer.isResuming { state = State() }
        own = (0, 0)
    }

    /// Gathers the losses of a step's batches.
    public override func onTrainBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ loss: Tensor?, batch: any DataBatch, batchIndex: Int
    ) {
        guard let loss else { return }
        own.loss += loss.item * Double(batch.sampleCount)
        own.samples += Double(batch.sampleCount)
    }

    /// Looks at the loss of a step, over all ranks.
    public override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) throws {
        guard moment == .optimizerStep else { return }
        let sums = try trainer.strategy.sum([own.loss, own.samples], tag: "the loss for SpikeDetection")
        own = (0, 0)
        guard sums[1] > 0 else { return }
        let loss = sums[0] / sums[1]
        let mean = state.losses.reduce(0, +) / Double(state.losses.count)
        if state.steps >= warmUp, isSpike(loss, mean) { try end(trainer, loss, mean) }
        state.steps += 1
        guard loss.isFinite else { return }
        state.losses = Array((state.losses + [loss]).suffix(window))
    }

    private func isSpike(_ loss: Double, _ mean: Double) -> Bool {
        guard loss.isFinite else { return true }
        guard let last = state.losses.last, mode == .min ? loss > last : loss < last else { return false }
        let difference = abs(loss - mean)
        return difference >= absoluteChange && difference >= relativeChange * abs(mean)
    }

    private func end(_ trainer: Trainer, _ loss: Double, _ mean: Double) throws -> Never {
        let progress = trainer.progress
        // The last batch of an epoch is counted before the epoch is.
        let batch = progress.batchInEpoch - 1
        let record = Record(
            epoch: progress.epoch, batches: batch > 0 ? [batch - 1, batch] : [batch], loss: loss, mean: mean)
        let path = try givenFile ?? trainer.runDirectory() + "/spikes.json"
        if trainer.isGlobalZero {
            let old = try? String(contentsOfFile: path, encoding: .utf8)
            let records = try old.map { try JSON.decode([Record].self, from: $0) } ?? []
            try JSON.pretty(records + [record]).write(to: URL(fileURLWithPath: path), options: .atomic)
        }
        throw TrainingSpike(
            epoch: record.epoch, batches: record.batches,
            description:
                "SpikeDetection: the loss became \(loss) at epoch \(record.epoch), batch \(batch), after a mean of \(mean) over the last \(state.losses.count) steps; look at the batches in \(path), lower the learning rate or clip gradients (trainer.gradientClipNorm), and go on from an earlier checkpoint"
        )
    }

    /// The newest losses.
    public override func saveState() throws -> String? { try JSON.encode(state) }

    /// Goes on with the losses of the checkpoint.
    public override func loadState(_ state: String) throws { self.state = try JSON.decode(State.self, from: state) }
}
