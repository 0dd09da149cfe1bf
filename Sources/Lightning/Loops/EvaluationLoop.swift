import DataParallel
import MPI
import NN
import Tensors

/// An evaluation, whatever its batches are.
protocol Evaluation {
    /// Checks that the limit leaves something to evaluate.
    func check(limit: BatchLimit) throws
    /// Evaluates, and returns the logged metrics over all samples of all ranks.
    @discardableResult
    func run(limit: BatchLimit, atMost: Int) throws -> [String: Double]
    /// Whether a loader gives its samples in random order.
    func isShuffled() throws -> Bool
    /// The same evaluation on the batches of training, given as a `LoaderSource`.
    ///
    /// - Throws: ``TrainingError`` when those are of another type.
    func onTrainingData(_ training: Any) throws -> any Evaluation
}

extension Evaluation {
    @discardableResult
    func run(limit: BatchLimit) throws -> [String: Double] { try run(limit: limit, atMost: .max) }
}

/// Validation, test and prediction: every sample of a loader once, without gradients, in evaluation mode; several loaders
/// one after the other.
struct EvaluationLoop<Batch: DataBatch>: Evaluation {
    /// What is done with a batch of this rank; what comes out is for the hooks after it.
    typealias Step = (_ batch: Batch, _ batchIndex: Int) throws -> Any

    let stage: EvaluationStage
    let trainer: Trainer
    let module: LightningModule
    let source: LoaderSource<Batch>
    let step: Step
    /// Whether the loader is that of training, whose order it has.
    let readsTrainingData: Bool

    init(
        _ stage: EvaluationStage, _ trainer: Trainer, _ module: LightningModule,
        _ source: LoaderSource<Batch>, readsTrainingData: Bool = false, _ step: @escaping Step
    ) {
        self.stage = stage
        self.trainer = trainer
        self.module = module
        self.source = source
        self.step = step
        self.readsTrainingData = readsTrainingData
    }

    /// Evaluates, and returns the logged metrics over all samples of all ranks.
    ///
    /// - Parameters:
    ///   - limit: How much of the data is read.
    ///   - most: Batches that are enough.
    @discardableResult
    func run(limit: BatchLimit, atMost most: Int = .max) throws -> [String: Double] {
        try trainer.timed(.runEvaluation) { try evaluate(limit, atMost: most) }
    }

    private func evaluate(_ limit: BatchLimit, atMost most: Int) throws -> [String: Double] {
        let parts = try self.parts(limit, atMost: most)
        guard parts.contains(where: { $0.count > 0 }) else { return [:] }
        trainer.evaluationBatchCount = parts[0].count
        trainer.logging.evaluation.reset()
        trainer.logging.evaluationOfLoader.reset()
        var entries: [MetricStore.Entry] = []
        try trainer.strategy.synchronizeBuffers(module)
        let modes = module.modes
        try withoutGradient {
            trainer.logging.scope = .none("while modes change")
            try change(stage.modelEvaluate)
            trainer.logging.scope = stage.scope
            trainer.logging.batchSize = 1
            try call(stage.start)
            try call(stage.epochStart)
            for (index, part) in parts.enumerated() {
                try run(part, index, isOneOfSeveral: parts.count > 1)
                if parts.count > 1 { entries += try finishLoader(index) }
            }
            trainer.logging.batchSize = 1
            try call(stage.epochEnd)
        }
        let results = try finish(entries)
        try call(stage.end)
        module.restoreModes(modes)
        trainer.logging.scope = .none("while modes change")
        try change(stage.modelTrain)
        return results
    }

    /// Finds out whether the limit makes sense, before an epoch of training is spent.
    func check(limit: BatchLimit) throws { _ = try parts(limit, atMost: .max) }

    func isShuffled() throws -> Bool {
        try !readsTrainingData
            && source.loader(inEpoch: trainer.progress.epoch).parts.contains { $0.shuffles == true }
    }

    func onTrainingData(_ training: Any) throws -> any Evaluation {
        guard let source = training as? LoaderSource<Batch> else {
            throw TrainingError(
                "trainer.overfitBatches validates on the training batches, and the \(stage.name) step of \(type(of: module)) takes batches of type \(Batch.self); set trainer.limitValidationBatches=0 to train alone"
            )
        }
        return EvaluationLoop(stage, trainer, module, source, readsTrainingData: true, step)
    }

    /// A loader with what is read of it.
    private struct Part {
        let loader: DataLoader<Batch>
        let sampler: EpochSampler<Batch>
        let count: Int
    }

    /// The loaders; the limit holds for each of them.
    private func parts(_ limit: BatchLimit, atMost most: Int) throws -> [Part] {
        let loader = try source.loader(inEpoch: trainer.progress.epoch)
        return try (readsTrainingData ? [loader] : loader.parts).map { loader in
            let sampler = try trainer.sampler(of: loader, shuffledByDefault: readsTrainingData, epoch: 0)
            let count = try limit.count(of: sampler.batchCount, what: "trainer.\(stage.limitFlag)")
            return Part(loader: loader, sampler: sampler, count: min(most, count))
        }
    }

    /// The batches of one loader.
    private func run(_ part: Part, _ index: Int, isOneOfSeveral: Bool) throws {
        trainer.evaluationBatchCount = part.count
        module.dataLoaderIndex = index
        defer { module.dataLoaderIndex = 0 }
        trainer.logging.loaderIndex = isOneOfSeveral ? index : nil
        defer { trainer.logging.loaderIndex = nil }
        let batches = part.loader.batches(of: part.sampler, limit: part.count)
        while let next = try read(batches) {
            // A rank without samples in a short batch has nothing to do, and nothing to wait for.
            if let batch = next.batch { try runBatch(batch, next.index, index) }
        }
    }

    private func call(_ moment: EvaluationStage.Moment) throws {
        try trainer.call(
            moment.name, { try moment.callback($0)(trainer, module) }, { try moment.module(module)() })
    }

    private func change(_ mode: EvaluationStage.ModeChange) throws {
        try trainer.timed(mode.name, module) { try mode.module(module)() }
    }

    /// The next batch; what goes wrong in reading it is reported as that batch's.
    private func read(_ batches: BatchIterator<Batch>) throws -> IndexedBatch<Batch>? {
        Watchdog.phase = TrainingPhase(
            "reading \(stage.name) data", epoch: trainer.progress.epoch, batch: batches.nextIndex)
        return try trainer.timed(.nextEvaluationBatch) { try batches.next() }
    }

    private func runBatch(_ batch: Batch, _ index: Int, _ loader: Int) throws {
        Watchdog.phase = TrainingPhase(stage.name, epoch: trainer.progress.epoch, batch: index)
        RandomContext.current.begin(step: index, shard: trainer.globalRank)
        trainer.logging.batchSize = batch.sampleCount
        try trainer.call(
            stage.batchStart.name, { try stage.batchStart.callback($0)(trainer, module, batch, index, loader) },
            { try stage.batchStart.module(module)(batch, index, loader) })
        let batch: Batch = try trainer.transfer(batch, to: module, dataLoaderIndex: loader)
        let output = try trainer.timed(.evaluationStep) { try step(batch, index) }
        trainer.logging.evaluation.hasBatches = true
        trainer.logging.evaluationOfLoader.hasBatches = true
        try trainer.call(
            stage.batchEnd.name, { try stage.batchEnd.callback($0)(trainer, module, output, batch, index, loader) },
            { try stage.batchEnd.module(module)(output, batch, index, loader) })
    }

    /// One exchange for the metrics of one of several loaders, so that a metric in a property can start afresh for the
    /// next.
    private func finishLoader(_ index: Int) throws -> [MetricStore.Entry] {
        guard stage.scope == .evaluation else { return [] }
        Watchdog.phase = TrainingPhase("the end of \(stage.name) loader \(index)", epoch: trainer.progress.epoch)
        let entries = try trainer.timed(.reduceMetrics) {
            try trainer.logging.evaluationOfLoader.reduced(
                over: trainer.strategy, in: module, tag: "metrics of loader \(index) of a \(stage.name)")
        }
        LoggedMetrics.reset(entries, in: module)
        trainer.logging.evaluationOfLoader.reset()
        return entries
    }

    /// One exchange for all metrics; then loggers and callbacks may see them.
    private func finish(_ ofLoaders: [MetricStore.Entry]) throws -> [String: Double] {
        guard stage.scope == .evaluation else { return [:] }
        Watchdog.phase = TrainingPhase("the end of \(stage.name)", epoch: trainer.progress.epoch)
        let ofAll = try trainer.timed(.reduceMetrics) {
            try trainer.logging.evaluation.reduced(
                over: trainer.strategy, in: module, tag: "metrics of a \(stage.name)")
        }
        LoggedMetrics.reset(ofAll, in: module)
        let entries = ofLoaders + ofAll
        let values = trainer.logging.finish(entries)
        if !trainer.isSanityChecking { try trainer.logToLoggers(values) }
        trainer.logging.scope = .none("after the metrics of a \(stage.name) are final")
        var results: [String: Double] = [:]
        for entry in entries where entry.onEpoch { results[entry.epochName] = entry.value }
        return results
    }
}
