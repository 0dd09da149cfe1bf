import Checkpoints
import Foundation
import MPI
import NN
import Optimizers
import Tensors

/// Saves checkpoints: the best by a metric, and the newest to go on from.
///
/// Rank 0 decides, or all ranks do from metrics that are the same on all of them; rank 0 alone touches files. Order of
/// scores: the better first, of equal ones the older. A file is removed only after its successor is whole, and no file
/// of another run is ever overwritten or removed.
///
/// When it saves is one of three: after every so many epochs (which is the default, and after each validation inside an
/// epoch too), optimizer steps or seconds. A step or second at which the monitored metric has no value, because only
/// validations log it, saves `last.h5`, and the next value is scored.
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
    private let everySeconds: Double?
    private let everyEpochs: Int?
    private let onlyAfterEpochs: Bool
    private let weightsOnly: Bool
    private let fileName: CheckpointFileName
    private let givenDirectory: String?
    private var index = CheckpointIndex()
    private var directory: String?
    private var lastStepSaved = -1
    /// Whether a step or second was due when the metric had no value.
    private var isDeferred = false
    private var timeSaved = 0.0

    /// Keeps the best `saveTop` checkpoints by a metric, and the last.
    ///
    /// - Parameters:
    ///   - monitor: The metric that scores a checkpoint; nil: newer is better. At a step it is rank 0's own value.
    ///   - mode: Whether smaller or larger scores are better.
    ///   - saveTop: How many to keep; −1 for all, 0 for none. More than one needs a metric.
    ///   - saveLast: Whether `last.h5` is kept up to date.
    ///   - everySteps: Saves after every so many optimizer steps, in the middle of epochs too.
    ///   - everySeconds: Saves at the first optimizer step after so many seconds, by rank 0's clock.
    ///   - everyEpochs: Saves after every so many epochs; 1 when neither of the other two is given.
    ///   - onlyAfterEpochs: Does not save after validations inside an epoch.
    ///   - weightsOnly: Keeps weights and hyperparameters only in the best; `last.h5` is always whole.
    ///   - fileName: The names of the best, such as `best-{epoch:03}-{val_loss:.2f}`, without ending.
    ///   - directory: Where to; by default `checkpoints` in the run's directory.
    public init(
        monitor: String? = nil, mode: Mode = .min, saveTop: Int = 1, saveLast: Bool = true, everySteps: Int? = nil,
        everySeconds: Double? = nil, everyEpochs: Int? = nil, onlyAfterEpochs: Bool = false, weightsOnly: Bool = false,
        fileName: String? = nil, directory: String? = nil
    ) {
        self.monitor = monitor
        self.mode = mode
        topCount = saveTop
        savesLast = saveLast
        self.everySteps = everySteps
        self.everySeconds = everySeconds
        self.everyEpochs = everyEpochs ?? (everySteps == nil && everySeconds == nil ? 1 : nil)
        self.onlyAfterEpochs = onlyAfterEpochs
        self.weightsOnly = weightsOnly
        self.fileName = fileName.map { CheckpointFileName(pattern: $0) } ?? .standard(monitor: monitor)
        givenDirectory = directory
    }

    /// The file of the best score.
    public var bestPath: String? { index.best.flatMap { path(of: $0) } }
    /// The best score.
    public var bestScore: Double? { index.kept.first?.score }
    /// The newest file to go on from.
    public var lastPath: String? { index.last.flatMap { path(of: $0) } }

    /// All its files, the newest to go on from first.
    var pathsNewestFirst: [String] { directory.map { index.newestFirst(in: $0) } ?? [] }

    private func path(of file: String) -> String? { directory.map { CheckpointIndex.path(of: file, in: $0) } }

    /// Checks that what was asked for makes sense.
    public override func setup(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {
        func demand(_ condition: Bool, _ message: String) throws {
            if !condition { throw TrainingError("ModelCheckpoint: " + message) }
        }
        try demand(topCount >= -1, "saveTop \(topCount); it is -1 for all, 0 for none, or how many to keep")
        try demand(topCount <= 1 || monitor != nil, "saveTop \(topCount) needs a metric to monitor")
        try demand(
            [everySteps != nil, everySeconds != nil, everyEpochs != nil].count { $0 } == 1,
            "everySteps, everySeconds and everyEpochs exclude each other; use two callbacks with directories of their own"
        )
        try demand(
            everySteps ?? 1 > 0 && everySeconds ?? 1 > 0 && everyEpochs ?? 1 > 0,
            "everySteps, everySeconds and everyEpochs are more than 0")
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
        if trainer.isResuming {
            index.last = trainer.loadedCheckpoint.map { URL(fileURLWithPath: $0).path } ?? index.last
        } else {
            (index, lastStepSaved, isDeferred) = (CheckpointIndex(), -1, false)
        }
        index.adopt(directory)
        timeSaved = trainer.seconds
        guard trainer.isGlobalZero else { return }
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        AtomicHDF5Writer.removeStaleFiles(in: directory)
        // Should this run die before it saves anything, to go on with it is to go on from where it began.
        if trainer.isResuming { try index.write(in: directory) }
    }

    /// Saves when it is time.
    public override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) throws {
        switch moment {
        case .optimizerStep:
            guard try isDue(trainer) else { return }
            timeSaved = trainer.seconds
            let score = try monitor.flatMap { try ownScore($0, trainer) }
            guard monitor == nil || score != nil else {
                isDeferred = true
                try saveLast(trainer, module)
                return
            }
            try save(score, trainer)
        case .validation:
            guard !onlyAfterEpochs, isDeferred || isDue(inEpoch: trainer.progress.epoch + 1) else { return }
            try saveScored(trainer, moment)
        case .epoch:
            let isDue = isDue(inEpoch: trainer.progress.epoch)
            if isDeferred || isDue {
                try saveScored(trainer, moment)
            } else if everyEpochs == nil, savesLast {
                // By steps or seconds: without this, the end of training would not be saved.
                try saveLast(trainer, module)
            }
        }
    }

    private func isDue(inEpoch epoch: Int) -> Bool { everyEpochs.map { epoch % $0 == 0 } ?? false }

    /// Whether this optimizer step saves; seconds are rank 0's.
    private func isDue(_ trainer: Trainer) throws -> Bool {
        if let everySteps { return trainer.hasJustTaken(multipleOf: everySteps) }
        guard let everySeconds else { return false }
        let isTime = trainer.isGlobalZero && trainer.seconds - timeSaved >= everySeconds
        return try trainer.strategy.sum([isTime ? 1 : 0], tag: "whether it is time for a checkpoint")[0] > 0
    }

    /// Rank 0's value of a metric that training steps log; nil when none did.
    private func ownScore(_ monitor: String, _ trainer: Trainer) throws -> Double? {
        let own = trainer.isGlobalZero ? trainer.logging.training.newest(monitor) : nil
        let told = try trainer.strategy.sum([own == nil ? 0 : 1, own ?? 0], tag: "the score of a checkpoint")
        return told[0] > 0 ? bounded(told[1]) : nil
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
        var score = try monitor.flatMap { try trainer.monitored($0, by: "ModelCheckpoint", moment) }
        if score == nil, onlyAfterEpochs, let monitor, moment == .epoch {
            // The last validation was inside the epoch; its value is final.
            score = trainer.callbackMetrics[monitor]
        }
        if score != nil { isDeferred = false }
        try save(score.map(bounded), trainer)
    }

    /// Saves under a name of its own if the score is among the best, and as the last.
    private func save(_ score: Double?, _ trainer: Trainer) throws {
        guard let directory else { return }
        let hasScore = monitor == nil || score != nil
        var top: String?
        if savesLast { index.last = "last.h5" }
        if hasScore, topCount != 0, trainer.progress.step != lastStepSaved, isAmongTop(score) {
            lastStepSaved = trainer.progress.step
            top = try saveTop(score, trainer, directory)
        }
        if savesLast {
            try saveLast(sameAs: weightsOnly ? nil : top, trainer, directory)
        } else {
            index.last = weightsOnly ? nil : index.kept.max { $0.step < $1.step }?.file
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

    /// Not a number is the worst score there is.
    private func bounded(_ value: Double) -> Double {
        value.isNaN ? (mode == .min ? .infinity : -.infinity) : value
    }

    private func isAmongTop(_ score: Double?) -> Bool {
        guard let score, topCount > 0, index.kept.count >= topCount, let worst = index.kept.last?.score else {
            return true
        }
        return isBetter(score, worst)
    }

    private func saveTop(_ score: Double?, _ trainer: Trainer, _ directory: String) throws -> String {
        let epoch = trainer.progress.batchInEpoch == 0 ? trainer.progress.epoch - 1 : trainer.progress.epoch
        let entry = CheckpointIndex.Entry(
            file: try freeName(epoch, score, trainer, directory), score: score, epoch: epoch,
            step: trainer.progress.step)
        var kept = index.kept
        let place = kept.firstIndex { isBetter(score, $0.score) } ?? kept.count
        kept.insert(entry, at: place)
        let surplus = topCount > 0 && kept.count > topCount ? Array(kept[topCount...]) : []
        kept.removeLast(surplus.count)
        index.kept = kept  // before saving, so that the file knows of itself
        try trainer.saveCheckpoint(directory + "/" + entry.file, weightsOnly: weightsOnly)
        guard trainer.isGlobalZero else { return entry.file }
        try index.write(in: directory)  // before removing, so that it never names a file that is gone
        for old in surplus where !old.file.contains("/") && directory + "/" + old.file != trainer.loadedCheckpoint {
            unlink(directory + "/" + old.file)
        }
        return entry.file
    }

    /// Without scores, the newer is the better.
    private func isBetter(_ a: Double?, _ b: Double?) -> Bool {
        guard let a, let b else { return true }
        return mode == .min ? a < b : a > b
    }

    /// A name that no file has: rank 0 looks, and all ranks hear.
    private func freeName(_ epoch: Int, _ score: Double?, _ trainer: Trainer, _ directory: String) throws -> String {
        var name = ""
        if trainer.isGlobalZero {
            var values = trainer.callbackMetrics
            values["epoch"] = Double(epoch)
            values["step"] = Double(trainer.progress.step)
            if let monitor, let score { values[monitor] = score }
            let text = try fileName.text(values)
            let versions = sequence(first: 0) { $0 + 1 }.lazy.map { $0 == 0 ? "\(text).h5" : "\(text)-v\($0).h5" }
            name = versions.first { !FileManager.default.fileExists(atPath: directory + "/" + $0) } ?? ""
        }
        return try trainer.strategy.broadcast(name, tag: "name of a checkpoint")
    }

    // MARK: - State

    private struct State: Codable {
        var index: CheckpointIndex
        var directory: String?
        var lastStepSaved: Int
        var isDeferred: Bool?
    }

    /// The kept files and their scores.
    public override func saveState() throws -> String? {
        try JSON.encode(
            State(
                index: index, directory: directory, lastStepSaved: lastStepSaved, isDeferred: isDeferred))
    }

    /// The kept files and their scores.
    ///
    /// A run that goes on in a directory of its own compares with the files of the old one, and leaves them alone.
    public override func loadState(_ state: String) throws {
        let saved = try JSON.decode(State.self, from: state)
        lastStepSaved = saved.lastStepSaved
        isDeferred = saved.isDeferred ?? false
        index = saved.index
        if let directory = saved.directory { index.qualify(directory) }
    }
}
