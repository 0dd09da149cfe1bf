import NN
import Optimizers

/// Stops training when its time is over, and says how long each part of a run took.
///
/// Rank 0's clock decides for all ranks; they stop after the same optimizer step. The time spent is part of a
/// checkpoint: a run that goes on has what was left of it, and a run whose time was over does not begin.
public final class TrainingTimer: Callback {
    /// When the clock is looked at.
    public enum Interval: String, Sendable, Codable, CaseIterable {
        /// At every optimizer step.
        case step
        /// After every epoch, so that epochs are whole.
        case epoch
    }

    /// The seconds that training may take; nil only measures.
    public let duration: Double?
    private let interval: Interval
    private let now: () -> Double
    private var spent: [String: Double] = [:]
    private var began: [String: Double] = [:]

    /// A timer.
    ///
    /// - Parameters:
    ///   - seconds: What training may take, validation included; nil only measures.
    ///   - interval: When the clock is looked at.
    public convenience init(seconds: Double? = nil, interval: Interval = .step) {
        let start = ContinuousClock.now
        self.init(seconds: seconds, interval: interval) { (ContinuousClock.now - start).inSeconds }
    }

    /// A timer with a clock of its own.
    package init(seconds: Double?, interval: Interval, now: @escaping () -> Double) {
        duration = seconds
        self.interval = interval
        self.now = now
    }

    /// Seconds spent in `fit`, `validate` (inside of a fit too), `test` or `predict`.
    public func elapsed(_ stage: RunStage = .fit) -> Double {
        (spent[stage.rawValue] ?? 0) + (began[stage.rawValue].map { now() - $0 } ?? 0)
    }

    /// The seconds that are left to training, at least 0; nil when it may take any time.
    public var remaining: Double? { duration.map { max(0, $0 - elapsed(.fit)) } }

    private func begin(_ stage: RunStage) { began[stage.rawValue] = now() }

    private func end(_ stage: RunStage) {
        spent[stage.rawValue] = elapsed(stage)
        began[stage.rawValue] = nil
    }

    private func check(_ trainer: Trainer) {
        guard let duration, trainer.isGlobalZero, elapsed(.fit) >= duration else { return }
        trainer.requestStop("the time of \(duration) s is over")
    }

    /// Checks the duration.
    public override func setup(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {
        guard duration ?? 1 > 0 else { throw TrainingError("TrainingTimer: a duration of \(duration ?? 0) s") }
    }

    /// Forgets another run.
    public override func onFitStart(_ trainer: Trainer, _ module: LightningModule) {
        if !trainer.isResuming { spent = [:] }
        began = [:]
    }

    /// Starts the clock of training.
    public override func onTrainStart(_ trainer: Trainer, _ module: LightningModule) {
        begin(.fit)
        check(trainer)
    }

    /// Looks at the clock: what is asked for now travels with the coming step.
    public override func onTrainBatchStart(
        _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int
    ) { if interval == .step { check(trainer) } }

    /// Looks at the clock again, after the forward pass: the step in which time runs out is the last.
    public override func onBeforeZeroGrad(_ trainer: Trainer, _ module: LightningModule, _ optimizer: Optimizer) {
        if interval == .step { check(trainer) }
    }

    /// Looks at the clock.
    public override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) {
        if moment == .epoch { check(trainer) }
    }

    /// Stops the clock of training.
    public override func onTrainEnd(_ trainer: Trainer, _ module: LightningModule) { end(.fit) }
    /// Starts the clock of validation.
    public override func onValidationStart(_ trainer: Trainer, _ module: LightningModule) { begin(.validate) }
    /// Stops the clock of validation.
    public override func onValidationEnd(_ trainer: Trainer, _ module: LightningModule) { end(.validate) }
    /// Starts the clock of testing.
    public override func onTestStart(_ trainer: Trainer, _ module: LightningModule) { begin(.test) }
    /// Stops the clock of testing.
    public override func onTestEnd(_ trainer: Trainer, _ module: LightningModule) { end(.test) }
    /// Starts the clock of prediction.
    public override func onPredictStart(_ trainer: Trainer, _ module: LightningModule) { begin(.predict) }
    /// Stops the clock of prediction.
    public override func onPredictEnd(_ trainer: Trainer, _ module: LightningModule) { end(.predict) }

    /// Seconds spent by stage, on rank 0.
    public override func saveState() throws -> String? {
        var all = spent
        for stage in began.keys { all[stage] = RunStage(rawValue: stage).map { elapsed($0) } }
        return try JSON.encode(all)
    }

    /// Goes on with what was left.
    public override func loadState(_ state: String) throws {
        spent = try JSON.decode([String: Double].self, from: state)
    }
}
