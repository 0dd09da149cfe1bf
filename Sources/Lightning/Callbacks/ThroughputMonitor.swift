import NN
import Tensors

/// Logs how fast training goes, over the last optimizer steps and without the time of validations.
///
/// `throughput/samples_per_second` and `throughput/flops_per_second` are those of all ranks together,
/// `throughput/batches_per_second` and `throughput/steps_per_second` those of each. Nothing is communicated.
public final class ThroughputMonitor: Callback {
    private struct Mark {
        var seconds: Double
        var batches: Int
        var steps: Int
        var samples: Int
    }

    private let window: Int
    private let flopsPerSample: Double?
    private let now: () -> Double
    private var marks: [Mark] = []
    private var paused = 0.0
    private var pauseBegan: Double?

    /// A monitor.
    ///
    /// - Parameters:
    ///   - window: The optimizer steps that a rate is taken over.
    ///   - flopsPerSample: Floating-point operations for training on one sample, to log operations per second.
    public convenience init(window: Int = 100, flopsPerSample: Double? = nil) {
        let start = ContinuousClock.now
        self.init(window: window, flopsPerSample: flopsPerSample) { (ContinuousClock.now - start).inSeconds }
    }

    /// A monitor with a clock of its own.
    package init(window: Int, flopsPerSample: Double?, now: @escaping () -> Double) {
        self.window = window
        self.flopsPerSample = flopsPerSample
        self.now = now
    }

    /// Checks the window.
    public override func setup(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {
        guard window > 0 else { throw TrainingError("ThroughputMonitor: a window of \(window) steps") }
    }

    /// Begins to measure.
    public override func onTrainStart(_ trainer: Trainer, _ module: LightningModule) {
        (marks, paused, pauseBegan) = ([], 0, nil)
        mark(trainer)
    }

    /// The time of a validation does not count.
    public override func onValidationStart(_ trainer: Trainer, _ module: LightningModule) { pauseBegan = now() }

    /// The time of a validation does not count.
    public override func onValidationEnd(_ trainer: Trainer, _ module: LightningModule) {
        if let pauseBegan { paused += now() - pauseBegan }
        pauseBegan = nil
    }

    private func mark(_ trainer: Trainer) {
        let progress = trainer.progress
        marks.append(
            Mark(seconds: now() - paused, batches: progress.batch, steps: progress.step, samples: progress.samples))
        if marks.count > window + 1 { marks.removeFirst() }
    }

    /// Measures, and logs when loggers hear of a step.
    public override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) throws {
        guard moment == .optimizerStep else { return }
        mark(trainer)
        let every = trainer.configuration.logEverySteps
        guard trainer.hasJustTaken(multipleOf: every), let first = marks.first, let last = marks.last,
            last.seconds > first.seconds
        else { return }
        let seconds = last.seconds - first.seconds
        let samples = Double(last.samples - first.samples) / seconds
        var values = [
            ("throughput/batches_per_second", Double(last.batches - first.batches) / seconds),
            ("throughput/steps_per_second", Double(last.steps - first.steps) / seconds),
            ("throughput/samples_per_second", samples),
        ]
        if let flopsPerSample { values.append(("throughput/flops_per_second", samples * flopsPerSample)) }
        try trainer.logDirectly(values)
    }
}

extension Trainer {
    /// Hands values that are not the module's to the loggers and to ``callbackMetrics``.
    func logDirectly(_ values: [(name: String, value: Double)]) throws {
        for (name, value) in values { logging.callbackMetrics[name] = value }
        try logToLoggers(values)
    }
}
