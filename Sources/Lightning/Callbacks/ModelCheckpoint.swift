import Checkpoints
import Foundation
import MPI
import NN
import Optimizers
import Tensors

/// Saves checkpoints: the best by a metric, and the newest to go on from.
///
/// Decisions are made from metrics that are the same on all ranks; rank 0 alone touches files. Order of scores: the
/// better first, of equal ones the newer. A file is removed only after its successor is whole.
public final class ModelCheckpoint: Callback {
    /// Which scores are better.
    public enum Mode: String, Sendable, Codable, CaseIterable {
        /// Smaller ones.
        case min
        /// Larger ones.
        case max
    }

    private let monitor: String?
    private let mode: Mode
    private let topCount: Int
    private let savesLast: Bool
    private let everySteps: Int?
    private let everyEpochs: Int
    private let givenDirectory: String?
    private var index = CheckpointIndex()
    private var directory: String?
    private var lastStepSaved = -1

    /// Keeps the best `saveTop` checkpoints by a metric, and the last.
    ///
    /// - Parameters:
    ///   - monitor: The metric that scores a checkpoint; nil: newer is better.
    ///   - mode: Whether smaller or larger scores are better.
    ///   - saveTop: How many to keep; −1 for all.
    ///   - saveLast: Whether `last.h5` is kept up to date.
    ///   - everySteps: Saves after every so many optimizer steps too (as `last.h5`), in the middle of epochs.
    ///   - everyEpochs: Saves after every so many epochs.
    ///   - directory: Where to; by default `checkpoints` in the run's directory.
    public init(
        monitor: String? = nil, mode: Mode = .min, saveTop: Int = 1, saveLast: Bool = true, everySteps: Int? = nil,
        everyEpochs: Int = 1, directory: String? = nil
    ) {
        self.monitor = monitor
        self.mode = mode
        topCount = saveTop
        savesLast = saveLast
        self.everySteps = everySteps
        self.everyEpochs = everyEpochs
        givenDirectory = directory
    }

    /// The file of the best score.
    public var bestPath: String? { index.best.flatMap { path(of: $0) } }
    /// The best score.
    public var bestScore: Double? { index.kept.first?.score }
    /// The newest file to go on from.
    public var lastPath: String? { index.last.flatMap { path(of: $0) } }

    private func path(of file: String) -> String? { directory.map { CheckpointIndex.path(of: file, in: $0) } }

    /// Checks that what was asked for makes sense.
    public override func setup(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {
        guard topCount >= -1, everyEpochs >= 0, everySteps ?? 1 > 0 else {
            throw TrainingError(
                "ModelCheckpoint: saveTop \(topCount), everyEpochs \(everyEpochs), everySteps \(everySteps ?? 1)")
        }
        let others = trainer.callbacks.compactMap { $0 as? ModelCheckpoint }.filter { $0 !== self }
        if others.contains(where: { $0.givenDirectory == givenDirectory }) {
            throw TrainingError(
                "two ModelCheckpoints write to \(givenDirectory ?? "the run's own directory"): give one of them another directory"
            )
        }
    }

    /// Decides about the directory.
    public override func onFitStart(_ trainer: Trainer, _ module: LightningModule) throws {
        let directory = try givenDirectory ?? trainer.runDirectory() + "/checkpoints"
        self.directory = directory
        index.adopt(directory)
        if !trainer.isResuming { (index, lastStepSaved) = (CheckpointIndex(), -1) }
        guard trainer.isGlobalZero else { return }
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        AtomicHDF5Writer.removeStaleFiles(in: directory)
    }

    /// Saves when it is time.
    public override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) throws {
        switch moment {
        case .optimizerStep:
            guard let everySteps, trainer.hasJustTaken(multipleOf: everySteps) else { return }
            try saveLast(trainer, module)
        case .validation: if monitor != nil { try saveScored(trainer, moment) }
        case .epoch:
            guard everyEpochs > 0, trainer.progress.epoch % everyEpochs == 0 else { return }
            try saveScored(trainer, moment)
        }
    }

    /// Saves the newest state as `last.h5`, and returns its path.
    @discardableResult
    func saveLast(_ trainer: Trainer, _ module: LightningModule) throws -> String? {
        guard let directory else { return nil }
        index.last = "last.h5"
        try trainer.saveCheckpoint(directory + "/last.h5")
        if trainer.isGlobalZero { try index.write(in: directory) }
        return directory + "/last.h5"
    }

    private func saveScored(_ trainer: Trainer, _ moment: MetricsMoment) throws {
        guard let directory else { return }
        let score = try monitor.flatMap { try scored($0, trainer, moment) }
        let hasScore = monitor == nil || score != nil
        var top: String?
        if savesLast { index.last = "last.h5" }
        if hasScore, topCount != 0, trainer.progress.step != lastStepSaved, isAmongTop(score) {
            lastStepSaved = trainer.progress.step
            top = try saveTop(score, trainer, directory)
        }
        if savesLast {
            try saveLast(sameAs: top, trainer, directory)
        } else {
            index.last = index.kept.max { $0.step < $1.step }?.file
        }
        if trainer.isGlobalZero { try index.write(in: directory) }
    }

    /// The newest state under its second name: one file with two names where the file system can, else written again.
    private func saveLast(sameAs top: String?, _ trainer: Trainer, _ directory: String) throws {
        guard let top else { return try trainer.saveCheckpoint(directory + "/last.h5") }
        var isLinked = true
        if trainer.isGlobalZero {
            let temporary = directory + "/.last-\(getpid()).h5"
            unlink(temporary)
            isLinked = link(directory + "/" + top, temporary) == 0 && rename(temporary, directory + "/last.h5") == 0
            // When both names are those of one file already, rename leaves the temporary one.
            unlink(temporary)
        }
        let linked = try trainer.strategy.sum([isLinked ? 0 : 1], tag: "checkpoint linked")
        if linked[0] > 0 { try trainer.saveCheckpoint(directory + "/last.h5") }
    }

    private func scored(_ monitor: String, _ trainer: Trainer, _ moment: MetricsMoment) throws -> Double? {
        guard let value = try trainer.monitored(monitor, by: "ModelCheckpoint", moment) else { return nil }
        // Not a number is the worst score there is.
        return value.isNaN ? (mode == .min ? .infinity : -.infinity) : value
    }

    private func isAmongTop(_ score: Double?) -> Bool {
        guard let score, topCount > 0, index.kept.count >= topCount, let worst = index.kept.last?.score else {
            return true
        }
        return mode == .min ? score <= worst : score >= worst
    }

    private func saveTop(_ score: Double?, _ trainer: Trainer, _ directory: String) throws -> String {
        let epoch = trainer.progress.batchInEpoch == 0 ? trainer.progress.epoch - 1 : trainer.progress.epoch
        let entry = CheckpointIndex.Entry(
            file: fileName(epoch: epoch, step: trainer.progress.step, score), score: score, epoch: epoch,
            step: trainer.progress.step)
        var kept = index.kept
        let place = kept.firstIndex { isBetterOrEqual(score, $0.score) } ?? kept.count
        kept.insert(entry, at: place)
        let surplus = topCount > 0 && kept.count > topCount ? Array(kept[topCount...]) : []
        kept.removeLast(surplus.count)
        index.kept = kept  // before saving, so that the file knows of itself
        try trainer.saveCheckpoint(directory + "/" + entry.file)
        guard trainer.isGlobalZero else { return entry.file }
        try index.write(in: directory)  // before removing, so that it never names a file that is gone
        for old in surplus where old.file != entry.file && !old.file.contains("/") {
            unlink(directory + "/" + old.file)
        }
        return entry.file
    }

    private func isBetterOrEqual(_ a: Double?, _ b: Double?) -> Bool {
        guard let a, let b else { return true }
        return mode == .min ? a <= b : a >= b
    }

    /// A name that sorts by time and holds no character that a shell or a file system minds.
    private func fileName(epoch: Int, step: Int, _ score: Double?) -> String {
        var name = "epoch-\(padded(epoch, 3))-step-\(padded(step, 6))"
        if let monitor, let score {
            let key = String(monitor.map { $0.isLetter || $0.isNumber || $0 == "_" ? $0 : "-" })
            name += "-\(key)-\(String(format: "%.4f", score))"
        }
        return name + ".h5"
    }

    private func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    // MARK: - State

    private struct State: Codable {
        var index: CheckpointIndex
        var directory: String?
        var lastStepSaved: Int
    }

    /// The kept files and their scores.
    public override func saveState() throws -> String? {
        try JSON.encode(State(index: index, directory: directory, lastStepSaved: lastStepSaved))
    }

    /// The kept files and their scores.
    ///
    /// A run that goes on in a directory of its own compares with the files of the old one, and leaves them alone.
    public override func loadState(_ state: String) throws {
        let saved = try JSON.decode(State.self, from: state)
        lastStepSaved = saved.lastStepSaved
        index = saved.index
        if let directory = saved.directory { index.qualify(directory) }
    }
}
