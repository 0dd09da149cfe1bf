import Foundation
import NN
import Optimizers
import Tensors

/// What a search for a learning rate has found.
public struct LearningRateCurve: Sendable, Codable, Equatable {
    /// The learning rates tried, growing.
    public var rates: [Double]
    /// The smoothed loss at each, over all ranks.
    public var losses: [Double]

    /// A curve, of nothing at first.
    public init(rates: [Double] = [], losses: [Double] = []) { (self.rates, self.losses) = (rates, losses) }

    /// The rate at which the loss falls fastest; nil when there are too few to say.
    ///
    /// - Parameters:
    ///   - begin: Rates left out at the beginning.
    ///   - end: Rates left out at the end.
    public func suggestion(skippingFirst begin: Int = 10, last end: Int = 1) -> Double? {
        let part = Array(losses.dropFirst(begin).dropLast(end))
        guard part.count > 1 else { return nil }
        let slopes = part.indices.map { index in
            let (before, after) = (max(index - 1, 0), min(index + 1, part.count - 1))
            return (part[after] - part[before]) / Double(after - before)
        }
        let steepest = slopes.indices.min { slopes[$0] < slopes[$1] }
        return steepest.map { rates[begin + $0] }
    }
}

/// How learning rates grow in a search.
public enum LearningRateSweep: String, Sendable, Codable, CaseIterable {
    /// By the same factor at each step.
    case exponential
    /// By the same amount at each step.
    case linear

    /// The rate of one of many steps; the first and the last are the bounds.
    func rate(_ step: Int, of count: Int, in range: ClosedRange<Double>) -> Double {
        let share = count > 1 ? Double(step) / Double(count - 1) : 0
        switch self {
        case .exponential: return range.lowerBound * pow(range.upperBound / range.lowerBound, share)
        case .linear: return range.lowerBound + (range.upperBound - range.lowerBound) * share
        }
    }
}

extension Trainer {
    /// Trains for some steps with a growing learning rate, and says how the loss answered; the module is left as it was.
    ///
    /// All ranks see the same losses. Callbacks, loggers and checkpoints have no part in it.
    /// - Parameters:
    ///   - module: What to train.
    ///   - train: Training batches.
    ///   - range: The first and the last learning rate, of all groups of the optimizer.
    ///   - steps: Optimizer steps.
    ///   - sweep: How the rate grows.
    ///   - limit: Ends as soon as the smoothed loss is so many times the best; nil never.
    public func findLearningRate<M: TrainingModule>(
        _ module: M, train: DataLoader<M.TrainingBatch>, range: ClosedRange<Double> = 1e-8...1, steps: Int = 100,
        sweep: LearningRateSweep = .exponential, stopsAt limit: Double? = 4
    ) throws -> LearningRateCurve {
        guard range.lowerBound > 0, steps > 0 else {
            throw TrainingError("findLearningRate: rates \(range) are positive, and \(steps) steps at least one")
        }
        let recorder = SweepRecorder(range, steps, sweep, limit)
        try tryOut(module, train: train, steps: steps, recorder)
        return recorder.curve
    }
}

/// Sets the learning rate of each step, and takes note of the loss.
private final class SweepRecorder: Callback {
    private let range: ClosedRange<Double>
    private let steps: Int
    private let sweep: LearningRateSweep
    private let limit: Double?
    private var loss = (sum: 0.0, samples: 0.0)
    private var average = 0.0
    private(set) var curve = LearningRateCurve()

    init(_ range: ClosedRange<Double>, _ steps: Int, _ sweep: LearningRateSweep, _ limit: Double?) {
        (self.range, self.steps, self.sweep, self.limit) = (range, steps, sweep, limit)
    }

    override func onTrainStart(_ trainer: Trainer, _ module: LightningModule) { trainer.suspendsSchedules = true }

    override func onBeforeOptimizerStep(_ trainer: Trainer, _ module: LightningModule, _ optimizer: Optimizer) {
        for group in optimizer.groups { group.learningRate = sweep.rate(trainer.progress.step, of: steps, in: range) }
    }

    override func onTrainBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ loss: Tensor?, batch: any DataBatch, batchIndex: Int
    ) {
        guard let loss else { return }
        self.loss.sum += loss.item * Double(batch.sampleCount)
        self.loss.samples += Double(batch.sampleCount)
    }

    override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) throws {
        guard moment == .optimizerStep else { return }
        let all = try trainer.strategy.sum([loss.sum, loss.samples], tag: "the loss of a search")
        loss = (0, 0)
        guard all[1] > 0, (all[0] / all[1]).isFinite else { return trainer.requestStop("the loss is not finite") }
        // A moving average that is not drawn to where it began.
        average = 0.98 * average + 0.02 * all[0] / all[1]
        let smoothed = average / (1 - pow(0.98, Double(curve.losses.count + 1)))
        curve.rates.append(sweep.rate(trainer.progress.step - 1, of: steps, in: range))
        curve.losses.append(smoothed)
        if let limit, let best = curve.losses.min(), curve.losses.count > 1, smoothed > limit * best {
            trainer.requestStop("the loss grows")
        }
    }
}
