import DataParallel
import Foundation
import MPI
import NN
import Optimizers
import Tensors

/// Runs a module: everything about training that is not research.
///
/// The same in one process and under `mpirun`, where every rank makes its own trainer and the trainers work together.
public final class Trainer {
    /// What a trainer is doing.
    public enum Status: String, Sendable {
        /// Nothing yet.
        case idle
        /// A run is going on.
        case running
        /// The last run came to its end.
        case finished
        /// The last run was ended by a signal.
        case interrupted
        /// The last run failed.
        case failed
    }

    /// The flags, with consequences drawn (such as those of `fastDevRun`).
    public let configuration: Configuration
    /// The seed of everything random: that of the configuration, or else of `seedEverything`.
    public let seed: UInt64
    /// How the ranks work together.
    public let strategy: any Strategy
    /// What takes the time of the run's parts; nil unless it is asked for.
    let profiler: Profiler?
    /// The callbacks in the order they run.
    public internal(set) var callbacks: [Callback]
    /// The loggers; only rank 0 has any.
    public internal(set) var loggers: [any MetricLogger]
    /// What the trainer is doing.
    public internal(set) var status = Status.idle
    /// Whether a validation is only trying the code out.
    public internal(set) var isSanityChecking = false
    /// How far training has come.
    public internal(set) var progress = TrainingProgress()
    /// The optimizers of the last fit, in the order of `configureOptimizers`, with their counters.
    public internal(set) var lightningOptimizers: [LightningOptimizer] = []
    /// Batches of a training epoch on each rank; 0 before they are known.
    public internal(set) var trainBatchCount = 0
    /// Batches of the validation, test or prediction going on.
    public internal(set) var evaluationBatchCount = 0

    /// The places in the data set of this rank's samples in the present prediction batch.
    public internal(set) var sampleIndices: [Int] = []
    /// Samples of all ranks in the prediction going on, by loader.
    var predictedSampleCounts: [Int] = []
    /// Samples of all ranks in the prediction going on.
    var predictedSampleCount: Int { predictedSampleCounts.reduce(0, +) }
    /// Whether weights have been updated and progress does not say so yet: nothing can be saved now.
    var isUpdating = false
    /// Whether this trainer only tries something out for another one, without the module's own callbacks.
    var isTrial = false
    /// Batches whose gradients make one optimizer step; it changes between epochs only.
    public internal(set) var accumulateGradientBatches = 1

    /// Batches that were skipped, and losses that were not finite, in the newest training epoch that has ended, over all
    /// ranks; rank 0 prints them when there are any.
    public internal(set) var irregularBatches = IrregularBatches()
    /// This rank's in the present epoch.
    var irregularSoFar = IrregularBatches()
    /// The optimizers whose first step in this fit was searched for parameters without a gradient.
    var searchedOptimizers: Set<Int> = []

    /// Samples per second of the last fit, validation included; nil before one.
    public internal(set) var samplesPerSecond: Double?

    /// The file of the last checkpoint that was loaded.
    public internal(set) var loadedCheckpoint: String?

    var logging = Logging()
    /// Whether the present fit has validated; true too when it never will.
    var hasValidated = true
    var schedules: [ScheduleState] = []
    /// What optimizers share when the module applies gradients itself; nil when the trainer does.
    var manualState: ManualState?
    /// The optimizer steps of the newest batch: how many were taken before it, and after it.
    var stepsOfBatch = 0..<0
    /// Whether the present batch has gathered tensors of all ranks in such a way that its backward pass does too.
    var gathersInBackward = false
    /// What went wrong in a collective of the present backward pass.
    var backwardError: (any Error)?
    /// Whether the present fit goes on from a checkpoint.
    var isResuming = false
    /// Samples of a full batch over all ranks.
    var globalBatchSize = 0
    /// The module of the last run; it knows its trainer weakly.
    var module: LightningModule?
    /// The data module of the last run, if it had one; it too knows its trainer weakly.
    var dataModule: LightningDataModule?
    /// One pass over the training data of the present fit without gradients; nil outside of one.
    var passOverTrainingData: (() throws -> Void)?
    /// Whether a callback sets the learning rates instead of the schedules, which go on counting.
    var suspendsSchedules = false
    /// When the training of the present fit began, in seconds since the trainer was made.
    var trainingBegan = 0.0
    /// When the seconds since the last validation began to count, in seconds since the trainer was made.
    var validationClockBegan = 0.0
    /// The seconds since the last validation with which the present fit begins.
    var secondsSinceValidation = 0.0
    /// Tells ``seconds`` instead of the machine's clock, so that tests do not depend on it.
    package var clock: (() -> Double)?
    private let start = ContinuousClock.now
    /// The run directory, once it is known.
    private(set) var directory: String?
    private let usesDefaultLogger: Bool
    let configurationText: String?

    /// A trainer with the given flags.
    ///
    /// - Parameters:
    ///   - configuration: The flags.
    ///   - callbacks: Run in this order; checkpoint callbacks last.
    ///   - loggers: Nil for those that the configuration names, in the run's directory; an empty list for none.
    ///   - configurationText: The whole configuration as YAML, kept as `config.yaml` in the run's directory.
    /// - Throws: ``TrainingError`` for flags that make no sense, `MPIError` when MPI cannot be initialised.
    public init(
        configuration: Configuration, callbacks: [Callback] = [], loggers: [any MetricLogger]? = nil,
        configurationText: String? = nil
    ) throws {
        self.configuration = try configuration.validated()
        let world = try World.current()
        if let ranks = configuration.ranks, ranks != world.topology.worldSize {
            throw TrainingError(
                "\(ranks) ranks are asked for (trainer.ranks), and the program runs on \(world.topology.worldSize); start it with: mpirun -n \(ranks) \(CommandLine.arguments.joined(separator: " "))"
            )
        }
        if let lane = world.lane {
            strategy = DataParallelStrategy(topology: world.topology, lane: lane)
        } else {
            strategy = SingleProcessStrategy()
        }
        profiler = configuration.profiler.map { Profiler($0) }
        Parallel.threadCount = configuration.threads ?? world.threads.threads
        usesDefaultLogger = loggers == nil && !configuration.barebones && configuration.fastDevRun == 0
        self.loggers = strategy.isGlobalZero && configuration.fastDevRun == 0 ? loggers ?? [] : []
        self.configurationText = configurationText
        self.callbacks = callbacks
        if let seed = configuration.seed { RandomContext.current.seed = seed }
        seed = RandomContext.current.seed
        logging.isEnabled = !configuration.barebones
        accumulateGradientBatches = self.configuration.accumulateGradientBatches
        try checkProgressBars()
        addDefaultCallbacks()
    }

    /// Checks that no two progress bars write over each other.
    private func checkProgressBars() throws {
        let count = callbacks.count { $0 is ProgressBar }
        guard count < 2 else {
            throw TrainingError("\(count) progress bars are given, which would write over each other; keep one")
        }
        guard count == 0 || configuration.enableProgressBar else {
            let flag = configuration.barebones ? "barebones is on" : "enableProgressBar is off"
            throw TrainingError("a ProgressBar is given and trainer.\(flag); remove one of the two")
        }
    }

    private func addDefaultCallbacks() {
        if let limit = configuration.maxSeconds { callbacks.append(TrainingTimer(seconds: limit)) }
        if configuration.enableModelSummary, !callbacks.contains(where: { $0 is ModelSummary }) {
            callbacks.append(ModelSummary())
        }
        if configuration.enableProgressBar, !callbacks.contains(where: { $0 is ProgressBar }) {
            callbacks.append(ProgressBar())
        }
        let hasCheckpoints = callbacks.contains { $0 is ModelCheckpoint }
        if !configuration.savesCheckpoints {
            callbacks.removeAll { $0 is ModelCheckpoint }
        } else if configuration.enableCheckpointing, !hasCheckpoints {
            callbacks.append(ModelCheckpoint())
        }
        callbacks = callbacks.filter { !($0 is ModelCheckpoint) } + callbacks.filter { $0 is ModelCheckpoint }
    }

    // MARK: - What users ask

    /// This process among all.
    public var globalRank: Int { strategy.topology.globalRank }
    /// This process among those of its node.
    public var localRank: Int { strategy.topology.localRank }
    /// This process's node among all nodes.
    public var nodeRank: Int { strategy.topology.nodeRank }
    /// The number of processes.
    public var worldSize: Int { strategy.worldSize }
    /// Whether this is rank 0.
    public var isGlobalZero: Bool { strategy.isGlobalZero }
    /// The optimizers of the last fit themselves.
    public var optimizers: [Optimizer] { lightningOptimizers.map(\.optimizer) }
    /// The first of them.
    public var optimizer: Optimizer? { lightningOptimizers.first?.optimizer }
    /// Epochs completed.
    public var currentEpoch: Int { progress.epoch }
    /// Optimizer steps taken, those of all optimizers together.
    public var globalStep: Int { progress.step }
    /// Seconds since the trainer was made.
    public var seconds: Double { clock?() ?? (ContinuousClock.now - start).inSeconds }
    /// The newest value of everything logged; final values are the same on all ranks, single ones are a rank's own.
    public var callbackMetrics: [String: Double] { logging.callbackMetrics }
    /// What the progress bar shows.
    public var progressBarMetrics: [(name: String, value: Double)] { logging.progressBarMetrics }
    /// The first checkpoint callback.
    public var checkpointCallback: ModelCheckpoint? { callbacks.lazy.compactMap { $0 as? ModelCheckpoint }.first }

    /// Why training should stop after the present step; set it from anywhere, on any rank.
    public internal(set) var stopReason: String?

    /// Asks all ranks to stop after the present optimizer step.
    public func requestStop(_ reason: String) { if stopReason == nil { stopReason = reason } }

    /// Prints a line on rank 0, above the progress bar.
    public func print(_ text: String) {
        guard isGlobalZero else { return }
        for case let bar as ProgressBar in callbacks { return bar.printAbove(text) }
        StandardOutput.write(text + "\n")
    }

    /// A monitored metric when a callback may look at it: it became final since it was last looked at, and is the same
    /// on all ranks.
    ///
    /// Nil at other times, such as in an epoch without a validation.
    ///
    /// - Throws: ``TrainingError`` at the end of an epoch when there never was such a metric, with the names that are.
    func monitored(_ name: String, by user: String, _ moment: MetricsMoment) throws -> Double? {
        if logging.fresh.contains(name) { return callbackMetrics[name] }
        guard moment != .epoch || callbackMetrics[name] != nil || !hasValidated else {
            let names = callbackMetrics.keys.sorted().joined(separator: ", ")
            throw TrainingError(
                "\(user) monitors '\(name)', which was not logged; "
                    + (names.isEmpty ? "nothing was: is validation data missing?" : "there are: \(names)"))
        }
        return nil
    }

    // MARK: - The run directory

    /// The directory of this trainer's run, `<defaultRootDir>/version_N`, made by rank 0 when first asked for.
    ///
    /// Collective at the first call, which `fit` makes.
    public func runDirectory() throws -> String {
        if let directory { return directory }
        let made = isGlobalZero ? Result { try RunDirectory.create(in: configuration.defaultRootDir) } : .success("")
        if case .failure(let error) = made { throw error }
        let path = try strategy.broadcast(try made.get(), tag: "run directory")
        directory = path
        if isGlobalZero {
            if let configurationText {
                try configurationText.write(toFile: path + "/config.yaml", atomically: true, encoding: .utf8)
            }
            if usesDefaultLogger {
                loggers = try configuration.loggers.map {
                    try $0.make(directory: path, root: configuration.defaultRootDir)
                }
            }
        }
        return path
    }

    /// Hands values to all loggers.
    func logToLoggers(_ values: [(name: String, value: Double)]) throws {
        guard !values.isEmpty, !loggers.isEmpty else { return }
        let record = MetricRecord(
            epoch: progress.epoch, batch: progress.batch, step: progress.step, samples: progress.samples,
            seconds: seconds, values: values)
        try timed(.logMetrics) { for logger in loggers { try logger.log(record) } }
    }
}

extension Duration {
    /// The duration in seconds.
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
