import NN
import Tensors

/// Stops training when a metric stops improving.
///
/// The metric is the same on all ranks, and so is the decision.
public final class EarlyStopping: Callback {
    /// Which direction is an improvement.
    public typealias Mode = ModelCheckpoint.Mode

    private let monitor: String
    private let mode: Mode
    private let minimumChange: Double
    private let patience: Int
    private let stoppingThreshold: Double?
    private let divergenceThreshold: Double?
    private let checksFinite: Bool
    private var state = State()

    private struct State: Codable {
        var best: Double?
        var waited = 0
        var stoppedEpoch: Int?
    }

    /// Stops after `patience` checks without an improvement by more than `minimumChange`.
    ///
    /// - Parameters:
    ///   - monitor: The metric; it is looked at after each validation if that logs it, else after each epoch.
    ///   - mode: Whether smaller or larger is better.
    ///   - patience: Checks without improvement that are borne.
    ///   - minimumChange: What counts as an improvement.
    ///   - stoppingThreshold: Stops as soon as the metric is better than this.
    ///   - divergenceThreshold: Stops as soon as the metric is worse than this.
    ///   - checksFinite: Stops when the metric is not finite.
    public init(
        monitor: String, mode: Mode = .min, patience: Int = 3, minimumChange: Double = 0,
        stoppingThreshold: Double? = nil, divergenceThreshold: Double? = nil, checksFinite: Bool = true
    ) {
        self.monitor = monitor
        self.mode = mode
        self.patience = patience
        self.minimumChange = abs(minimumChange)
        self.stoppingThreshold = stoppingThreshold
        self.divergenceThreshold = divergenceThreshold
        self.checksFinite = checksFinite
    }

    /// The best value so far.
    public var bestScore: Double? { state.best }
    /// Checks since the last improvement.
    public var waitCount: Int { state.waited }
    /// The epoch in which it stopped training.
    public var stoppedEpoch: Int? { state.stoppedEpoch }

    /// Distinguishes several of them.
    public override var stateKey: String { "EarlyStopping \(monitor) \(mode.rawValue)" }

    /// A run that was stopped stays stopped when it is resumed; another run begins anew.
    public override func onFitStart(_ trainer: Trainer, _ module: LightningModule) {
        guard trainer.isResuming else { return state = State() }
        if let epoch = state.stoppedEpoch {
            trainer.requestStop("EarlyStopping: \(monitor) had stopped this run after \(epoch) epochs")
        }
    }

    /// Looks at the metric.
    public override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) throws {
        guard moment != .optimizerStep, trainer.stopReason == nil else { return }
        guard let value = try trainer.monitored(monitor, by: "EarlyStopping", moment) else { return }
        if let reason = reasonToStop(value) {
            state.stoppedEpoch = trainer.currentEpoch
            trainer.requestStop("EarlyStopping: \(reason)")
        }
    }

    private func reasonToStop(_ value: Double) -> String? {
        if checksFinite, !value.isFinite { return "\(monitor) is \(value)" }
        if let limit = stoppingThreshold, isBetter(value, than: limit) { return "\(monitor) reached \(value)" }
        if let limit = divergenceThreshold, isBetter(limit, than: value) { return "\(monitor) diverged to \(value)" }
        let margin = mode == .min ? -minimumChange : minimumChange
        if state.best.map({ isBetter(value, than: $0 + margin) }) ?? true {
            state.best = value
            state.waited = 0
            return nil
        }
        state.waited += 1
        guard state.waited >= patience else { return nil }
        return "\(monitor) did not improve on \(state.best ?? value) for \(state.waited) checks"
    }

    private func isBetter(_ a: Double, than b: Double) -> Bool { mode == .min ? a < b : a > b }

    /// Best value and patience used.
    public override func saveState() throws -> String? {
        try JSON.encode(state)
    }

    /// Goes on counting where the checkpoint was made.
    public override func loadState(_ state: String) throws {
        self.state = try JSON.decode(State.self, from: state)
    }
}
