import Checkpoints
import Foundation
import Metrics
import NN
import Optimizers
import Tensors

@_exported import struct Checkpoints.Checkpoint
@_exported import struct Checkpoints.CheckpointError

/// What a checkpoint says about the run itself.
struct RunState: Codable, Sendable {
    /// How far training had come: the next batch to read follows from it.
    var progress: TrainingProgress
    /// The seed of all random streams; their places follow from it and from `progress`.
    var seed: UInt64
    /// The ranks that wrote it.
    var worldSize: Int
    /// Samples of a full batch over all ranks.
    var globalBatchSize: Int
    /// The counters of the schedules, in order.
    var schedules: [ScheduleState.Saved]
    /// Initial and present learning rate of each group, optimizer by optimizer.
    var learningRates: [[Double]]
    /// The updates of each optimizer; nil in files of one optimizer made before there could be several.
    var updateCounts: [Int]?
    /// Values of the training epoch so far, by rank.
    var metrics: [[MetricStore.Entry]]
    /// What the module's metrics have gathered, by rank and property; nil in files of before there were any.
    var metricStates: [[String: MetricState]]?
    /// Skipped batches and the like of the training epoch so far, by rank; nil in files of before they were counted.
    var irregularBatches: [IrregularBatches]?
    /// The newest value of everything logged.
    var callbackMetrics: [String: Double]
    /// Seconds since the last validation; nil where no validation waits for them.
    var secondsSinceValidation: Double?
}

extension Trainer {
    // MARK: - Saving

    /// Writes a checkpoint of the present run.
    ///
    /// Every rank must call it: metrics of all ranks go in. Rank 0 writes one file, whole or not at all; when it returns,
    /// on any rank, the file is there. In the middle of an accumulation window the gradients gathered so far are not
    /// part of it.
    /// - Parameters:
    ///   - path: The file.
    ///   - weightsOnly: Leaves out everything but weights and hyperparameters.
    /// - Throws: `AtomicWriteError` on rank 0 when the file cannot be written; the job ends then.
    public func saveCheckpoint(_ path: String, weightsOnly: Bool = false) throws {
        guard let module else { throw TrainingError("saveCheckpoint: no module was run by this trainer yet") }
        try timed(.saveCheckpoint) {
            try strategy.synchronizeBuffers(module)
            let metrics = try gatherMetrics(module)
            if isGlobalZero {
                try makeCheckpoint(module, metrics: metrics, weightsOnly: weightsOnly).write(to: path)
            }
            // Whoever ends the program after saving must not end it while rank 0 writes.
            try strategy.barrier("checkpoint written")
        }
    }

    /// Writes a checkpoint from this rank alone, when the others cannot be asked any more.
    ///
    /// On many ranks the metrics of the epoch so far are not part of it.
    func saveCheckpointAlone(_ path: String, metrics: RankMetrics) throws {
        guard let module else { return }
        try makeCheckpoint(module, metrics: worldSize == 1 ? [metrics] : [], weightsOnly: false).write(to: path)
    }

    /// What this rank knows of the epoch so far.
    func ownMetrics(_ module: LightningModule) -> RankMetrics {
        RankMetrics(
            entries: logging.training.entries, states: LoggedMetrics.allStates(in: module),
            irregularBatches: irregularSoFar)
    }

    private func gatherMetrics(_ module: LightningModule) throws -> [RankMetrics] {
        let own = ownMetrics(module)
        return try strategy.gather(try JSON.encode(own), tag: "metrics for a checkpoint").map {
            try JSON.decode(RankMetrics.self, from: $0)
        }
    }

    private func makeCheckpoint(
        _ module: LightningModule, metrics: [RankMetrics], weightsOnly: Bool
    ) throws -> Checkpoint {
        var checkpoint = Checkpoint()
        checkpoint.model = module.stateDictionary
        try checkpoint.set("module", String(describing: type(of: module)))
        try checkpoint.set("precision", configuration.precision)
        if let module = module as? any SavedHyperparameters {
            try checkpoint.set("hyperparameters", module.hyperparameters)
        }
        if let data = dataModule as? any HyperparameterDataModule {
            try checkpoint.set("data hyperparameters", data.hyperparameters)
        }
        if !weightsOnly {
            if let dataModule, let state = try dataModule.saveState() {
                checkpoint.values["data \(type(of: dataModule))"] = state
            }
            checkpoint.optimizers = optimizers.map(\.stateDictionary)
            let rates = optimizers.flatMap(\.groups).map { [$0.initialLearningRate, $0.learningRate] }
            try checkpoint.set(
                "run",
                RunState(
                    progress: progress, seed: seed, worldSize: worldSize, globalBatchSize: globalBatchSize,
                    schedules: schedules.map(\.saved), learningRates: rates,
                    updateCounts: lightningOptimizers.map(\.updateCount), metrics: metrics.map(\.entries),
                    metricStates: metrics.map(\.states), irregularBatches: metrics.map(\.irregularBatches),
                    callbackMetrics: callbackMetrics,
                    secondsSinceValidation: configuration.validateEverySeconds.map { _ in
                        seconds - validationClockBegan
                    }))
            for (key, callback) in namedCallbacks() {
                if let state = try callback.saveState() { checkpoint.values["callback \(key)"] = state }
            }
        }
        try call(
            .onSaveCheckpoint, { try $0.onSaveCheckpoint(self, module, &checkpoint) },
            { try module.onSaveCheckpoint(&checkpoint) })
        return checkpoint
    }

    /// Callbacks with their state keys; a second callback of the same key has its number added.
    private func namedCallbacks() -> [(key: String, callback: Callback)] {
        var seen: [String: Int] = [:]
        return callbacks.map { callback in
            let number = seen[callback.stateKey, default: 0]
            seen[callback.stateKey] = number + 1
            return (number == 0 ? callback.stateKey : "\(callback.stateKey) \(number)", callback)
        }
    }

    // MARK: - Restoring

    /// Overwrites the weights of a module with those of a checkpoint.
    ///
    /// Collective when the checkpoint is called `best` or `last`. When the file of `last` is damaged, the newest older one
    /// that is whole takes its place, and a warning says so.
    /// - Parameters:
    ///   - module: The module, of the checkpoint's kind.
    ///   - checkpoint: A path, `best` or `last`.
    /// - Throws: ``CheckpointError`` when there is no such file, or it holds another model.
    public func loadWeights(_ module: LightningModule, from checkpoint: String) throws {
        try restoreModel(module, from: loadCheckpoint(checkpoint, weightsOnly: true))
    }

    /// Restores weights: the module looks at the checkpoint first.
    func restoreModel(_ module: LightningModule, from checkpoint: Checkpoint) throws {
        try timed(.onLoadCheckpoint, module) { try module.onLoadCheckpoint(checkpoint) }
        do {
            try module.load(checkpoint.model, strict: module.strictLoading)
        } catch let mismatch as StateMismatch {
            let saved = try checkpoint.get("module", as: String.self) ?? "unknown"
            throw CheckpointError("the checkpoint holds a \(saved), this is a \(type(of: module)): \(mismatch)")
        }
    }

    /// Restores everything else: optimizer, schedules, progress, metrics, callbacks.
    func restoreTraining(from checkpoint: Checkpoint) throws {
        guard let run: RunState = try checkpoint.get("run") else {
            throw CheckpointError(
                "the checkpoint holds weights only and training cannot go on from it; load it with load(fromCheckpoint:) and start a new fit"
            )
        }
        progress = run.progress
        try fitProgress(to: run)
        secondsSinceValidation = run.secondsSinceValidation ?? 0
        RandomContext.current.seed = seed
        if run.seed != seed {
            print(
                "note: the checkpoint was made with seed \(run.seed), this run has \(seed): the order of samples changes"
            )
        }
        // Callbacks come first: one that adds parameters to the optimizer in the course of training adds them now.
        for (key, callback) in namedCallbacks() {
            if let state = checkpoint.values["callback \(key)"] { try callback.loadState(state) }
        }
        if let module { try callCallbacks(.onLoadCheckpoint) { try $0.onLoadCheckpoint(self, module, checkpoint) } }
        // Files of earlier versions do not say; they were made in float32.
        let precision = try checkpoint.get("precision", as: Precision.self) ?? .float32
        if precision != configuration.precision {
            print(
                "note: the checkpoint was made in \(precision), this run has \(configuration.precision): it is converted"
            )
        }
        guard checkpoint.optimizers.count == optimizers.count else {
            throw CheckpointError(
                "the checkpoint has \(checkpoint.optimizers.count) optimizers, this run has \(optimizers.count)")
        }
        for (optimizer, state) in zip(optimizers, checkpoint.optimizers) { try optimizer.load(state) }
        let groups = optimizers.flatMap(\.groups)
        guard run.learningRates.count == groups.count else {
            throw CheckpointError(
                "the checkpoint's optimizer has \(run.learningRates.count) parameter groups, this one has \(groups.count)"
            )
        }
        for (optimizer, count) in zip(lightningOptimizers, run.updateCounts ?? [run.progress.step]) {
            optimizer.updateCount = count
        }
        for (group, rates) in zip(groups, run.learningRates) {
            if group.initialLearningRate != rates[0] {
                print(
                    "note: the checkpoint's learning rate \(rates[0]) goes on, not the configured \(group.initialLearningRate)"
                )
            }
            group.restore(initialLearningRate: rates[0], learningRate: rates[1])
        }
        guard run.schedules.count == schedules.count else {
            throw CheckpointError(
                "the checkpoint has \(run.schedules.count) learning-rate schedules, this run has \(schedules.count)")
        }
        for (index, saved) in run.schedules.enumerated() { schedules[index].restore(saved) }
        logging.callbackMetrics = run.callbackMetrics
        try restoreMetrics(run)
    }

    /// The place in the epoch is a number of batches: with batches of another size it is another number, or none.
    private func fitProgress(to run: RunState) throws {
        let done = progress.batchInEpoch * run.globalBatchSize
        guard run.globalBatchSize != globalBatchSize, done > 0 else { return }
        guard done % globalBatchSize == 0 else {
            throw CheckpointError(
                "the checkpoint was made \(done) samples into an epoch, with batches of \(run.globalBatchSize) over all ranks; batches of \(globalBatchSize) cannot begin there. Keep the batch over all ranks, or choose a divisor of \(done)"
            )
        }
        progress.moveInEpoch(toBatch: done / globalBatchSize)
    }

    /// Each rank gets its own sums back; on another number of ranks, rank 0 gets those of all.
    private func restoreMetrics(_ run: RunState) throws {
        let (saved, states) = (run.metrics, run.metricStates ?? [])
        if let irregular = run.irregularBatches, irregular.count == worldSize {
            irregularSoFar = irregular[globalRank]
        } else if isGlobalZero {
            irregularSoFar = (run.irregularBatches ?? []).reduce(IrregularBatches(), +)
        }
        if saved.count == worldSize {
            logging.training.restore(saved[globalRank])
            return try restoreStates(states.isEmpty ? [] : [states[globalRank]])
        }
        guard isGlobalZero, var merged = saved.first else { return logging.training.reset() }
        for other in saved.dropFirst() {
            for index in merged.indices {
                if let entry = other.first(where: { $0.name == merged[index].name }) { merged[index].merge(entry) }
            }
        }
        logging.training.restore(merged)
        try restoreStates(states)
    }

    private func restoreStates(_ ranks: [[String: MetricState]]) throws {
        guard let module else { return }
        try LoggedMetrics.restore(ranks, in: module)
    }
}
