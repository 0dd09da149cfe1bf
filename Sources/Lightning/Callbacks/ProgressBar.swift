import Foundation
import MPI
import NN
import Tensors

/// Shows how far a run is, on rank 0: a bar on a terminal, a plain line every few seconds elsewhere.
public final class ProgressBar: Callback {
    private let output: ProgressOutput
    private var stage = ""
    private var position = 0
    private var total = 0
    private var stageStart = ContinuousClock.now
    private var lastShown = ContinuousClock.now

    /// A bar.
    ///
    /// - Parameters:
    ///   - isTerminal: Whether the output can move the cursor; by default found out.
    ///   - plainInterval: Seconds between plain lines.
    public init(isTerminal: Bool? = nil, plainInterval: Double = 5) {
        output = ProgressOutput(isTerminal: isTerminal ?? ProgressOutput.standardOutputIsTerminal, plainInterval)
    }

    /// Prints a line above the bar.
    func printAbove(_ text: String) { output.line(text) }

    private func begin(_ stage: String, total: Int, at position: Int = 0) {
        self.stage = stage
        self.total = total
        self.position = position
        stageStart = .now
        lastShown = .now
        begun = position
    }

    private var begun = 0

    private func advance(_ trainer: Trainer) {
        position += 1
        let now = ContinuousClock.now
        guard (now - lastShown).inSeconds >= output.interval else { return }
        lastShown = now
        show(trainer)
    }

    private func show(_ trainer: Trainer) {
        let elapsed = max((ContinuousClock.now - stageStart).inSeconds, 1e-9)
        let rate = Double(position - begun) / elapsed
        let left = rate > 0 && total < .max ? ", \(clock(Double(total - position) / rate)) left" : ""
        let metrics = trainer.progressBarMetrics.map { "\($0.name) \(ResultsTable.number($0.value))" }
        output.progress(
            stage, position: position, total: total,
            "\(String(format: "%.1f", rate)) batches/s\(left)"
                + (metrics.isEmpty ? "" : " │ " + metrics.joined(separator: " ")))
    }

    private func clock(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        return whole < 3600
            ? String(format: "%d:%02d", whole / 60, whole % 60)
            : String(format: "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60)
    }

    // MARK: - Hooks

    /// Begins the bar of an epoch.
    public override func onTrainStart(_ trainer: Trainer, _ module: LightningModule) { beginEpoch(trainer) }

    /// Begins the bar of an epoch.
    public override func onTrainEpochStart(_ trainer: Trainer, _ module: LightningModule) { beginEpoch(trainer) }

    private func beginEpoch(_ trainer: Trainer) {
        guard trainer.isGlobalZero else { return }
        begin("epoch \(trainer.currentEpoch)", total: trainer.trainBatchCount, at: trainer.progress.batchInEpoch)
    }

    /// Moves the bar.
    public override func onTrainBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ loss: Tensor?, batch: any DataBatch, batchIndex: Int
    ) {
        guard trainer.isGlobalZero else { return }
        total = trainer.trainBatchCount
        advance(trainer)
    }

    /// One line per epoch stays.
    public override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) {
        guard trainer.isGlobalZero, moment == .epoch else { return }
        let elapsed = (ContinuousClock.now - stageStart).inSeconds
        let metrics = trainer.progressBarMetrics.map { "\($0.name) \(ResultsTable.number($0.value))" }
        let values = metrics.isEmpty ? "" : " │ " + metrics.joined(separator: " ")
        output.line("\(stage): \(position) batches in \(clock(elapsed))\(values)")
    }

    /// Moves the bar.
    public override func onValidationBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ output: Any, batch: any DataBatch, batchIndex: Int,
        dataLoaderIndex: Int
    ) { evaluated(trainer, trainer.isSanityChecking ? "sanity check" : "validation", batchIndex) }

    /// Moves the bar.
    public override func onTestBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ output: Any, batch: any DataBatch, batchIndex: Int,
        dataLoaderIndex: Int
    ) { evaluated(trainer, "test", batchIndex) }

    /// Moves the bar.
    public override func onPredictBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ output: Any, batch: any DataBatch, batchIndex: Int,
        dataLoaderIndex: Int
    ) { evaluated(trainer, "prediction", batchIndex) }

    private func evaluated(_ trainer: Trainer, _ name: String, _ batchIndex: Int) {
        guard trainer.isGlobalZero, (ContinuousClock.now - lastShown).inSeconds >= output.interval else { return }
        lastShown = .now
        output.progress(name, position: batchIndex + 1, total: trainer.evaluationBatchCount, "")
    }

    /// Leaves the bar.
    public override func onFitEnd(_ trainer: Trainer, _ module: LightningModule) { output.finish() }

    /// Leaves the bar.
    public override func onTestEnd(_ trainer: Trainer, _ module: LightningModule) { output.finish() }

    /// Leaves the bar.
    public override func onException(_ trainer: Trainer, _ module: LightningModule, _ error: any Error) {
        output.finish()
    }
}

/// Writes progress: over the same line on a terminal, line by line elsewhere.
private final class ProgressOutput {
    private let isTerminal: Bool
    private var isLineOpen = false
    let interval: Double

    init(isTerminal: Bool, _ plainInterval: Double) {
        self.isTerminal = isTerminal
        interval = isTerminal ? 0.1 : plainInterval
    }

    /// Whether people see the output on a terminal.
    ///
    /// Under `mpirun` a rank cannot know: Open MPI gives it a terminal of its own even when the output goes to a file.
    /// There it is plain, unless the launch script, which knows, says otherwise in LIGHTNING_TERMINAL.
    static var standardOutputIsTerminal: Bool {
        if let said = ProcessInfo.processInfo.environment["LIGHTNING_TERMINAL"] { return said == "1" }
        return !MPIEnvironment.launch.isLaunched && isatty(STDOUT_FILENO) == 1
    }

    /// The columns of the terminal, from COLUMNS when that is said.
    private let columns = ProcessInfo.processInfo.environment["COLUMNS"].flatMap(Int.init) ?? 100

    func progress(_ stage: String, position: Int, total: Int, _ text: String) {
        let isKnown = total > 0 && total < .max  // of a stream it is not
        let share = isKnown ? Double(position) / Double(total) : 0
        let counts = isKnown ? "\(position)/\(total)" : "\(position)"
        guard isTerminal else { return write("\(stage): \(counts) \(text)\n") }
        let width = 24, filled = Int(share * Double(width))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        // A line that is longer than the terminal would not be overwritten.
        write("\r\u{1B}[K" + "\(stage) \(bar) \(counts) \(text)".prefix(columns - 1))
        isLineOpen = true
    }

    func line(_ text: String) {
        write((isLineOpen ? "\r\u{1B}[K" : "") + text + "\n")
        isLineOpen = false
    }

    func finish() {
        if isLineOpen { write("\n") }
        isLineOpen = false
    }

    private func write(_ text: String) { StandardOutput.write(text) }
}
