import NN
import Optimizers

/// Hands the learning rates of all parameter groups to the loggers and to `callbackMetrics`.
///
/// Rates are called `lr-SGD` after the optimizer, `lr-SGD/head` or `lr-SGD/pg2` when it has several groups, and
/// `lr-SGD-1` when it is the second optimizer of its kind. Momentum and weight decay have `-momentum` and
/// `-weight_decay` behind that.
public final class LearningRateMonitor: Callback {
    /// When rates are logged.
    public enum Interval: String, Sendable, Codable, CaseIterable {
        /// At the optimizer steps that the loggers hear of (`logEverySteps`).
        case step
        /// At the beginning of each epoch.
        case epoch
    }

    private let interval: Interval?
    private let logsMomentum: Bool
    private let logsWeightDecay: Bool
    private let prefix: String
    /// The rates of the present run by name, in the order in which they were logged.
    public private(set) var rates: [String: [Double]] = [:]

    /// A monitor.
    ///
    /// - Parameters:
    ///   - interval: When rates are logged; nil for both.
    ///   - logsMomentum: Whether momentum (the first β of Adam) is logged too.
    ///   - logsWeightDecay: Whether weight decay is logged too.
    ///   - prefix: Stands before all names.
    public init(
        interval: Interval? = nil, logsMomentum: Bool = false, logsWeightDecay: Bool = false, prefix: String = ""
    ) {
        self.interval = interval
        self.logsMomentum = logsMomentum
        self.logsWeightDecay = logsWeightDecay
        self.prefix = prefix
    }

    /// Forgets another run.
    public override func onFitStart(_ trainer: Trainer, _ module: LightningModule) { rates = [:] }

    /// Logs the rates that the epoch begins with.
    public override func onTrainEpochStart(_ trainer: Trainer, _ module: LightningModule) throws {
        if interval != .step { try log(trainer) }
    }

    /// Logs the rates that the step has used.
    public override func onBeforeOptimizerStep(
        _ trainer: Trainer, _ module: LightningModule, _ optimizer: Optimizer
    ) throws {
        let every = trainer.configuration.logEverySteps
        guard interval != .epoch, every > 0, (trainer.progress.step + 1) % every == 0 else { return }
        try log(trainer)
    }

    private func log(_ trainer: Trainer) throws {
        let values = values(of: trainer.optimizers)
        for (name, value) in values { rates[name, default: []].append(value) }
        try trainer.logDirectly(values)
    }

    private func values(of optimizers: [Optimizer]) -> [(name: String, value: Double)] {
        var seen: [String: Int] = [:]
        var values: [(name: String, value: Double)] = []
        for optimizer in optimizers {
            let kind = String(describing: type(of: optimizer))
            let number = seen[kind, default: 0]
            seen[kind] = number + 1
            let name = prefix + "lr-" + kind + (number == 0 ? "" : "-\(number)")
            for (index, group) in optimizer.groups.enumerated() {
                let place = optimizer.groups.count == 1 ? name : "\(name)/\(group.name ?? "pg\(index + 1)")"
                values.append((place, group.learningRate))
                if logsMomentum, let momentum = optimizer.firstMomentum {
                    values.append((place + "-momentum", momentum))
                }
                if logsWeightDecay, let decay = group.weightDecay ?? optimizer.commonWeightDecay {
                    values.append((place + "-weight_decay", decay))
                }
            }
        }
        return values
    }
}

extension Optimizer {
    /// The momentum of SGD or the first β of Adam; nil for optimizers of other kinds.
    var firstMomentum: Double? { (self as? SGD)?.momentum ?? (self as? Adam)?.betas.0 }
    /// The weight decay of groups that have none of their own; nil for optimizers of other kinds.
    var commonWeightDecay: Double? { (self as? SGD)?.weightDecay ?? (self as? Adam)?.weightDecay }
}
