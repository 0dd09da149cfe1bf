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
}

extension Evaluation {
    @discardableResult
    func run(limit: BatchLimit) throws -> [String: Double] { try run(limit: limit, atMost: .max) }
}

/// Validation, test and prediction: every sample of a loader once, without gradients, in evaluation mode.
struct EvaluationLoop<Batch: DataBatch>: Evaluation {
    /// What is done with a batch of this rank; what comes out is for the hooks after it.
    typealias Step = (_ batch: Batch, _ batchIndex: Int) throws -> Any

    let stage: EvaluationStage
    let trainer: Trainer
    let module: LightningModule
    let loader: () throws -> DataLoader<Batch>
    let step: Step

    init(
        _ stage: EvaluationStage, _ trainer: Trainer, _ module: LightningModule,
        _ loader: @escaping () throws -> DataLoader<Batch>, _ step: @escaping Step
    ) {
        self.stage = stage
        self.trainer = trainer
        self.module = module
        self.loader = loader
        self.step = step
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
        let loader = try loader()
        let sampler = try sampler(of: loader)
        let count = try min(most, self.count(sampler, limit))
        guard count > 0 else { return [:] }
        trainer.evaluationBatchCount = count
        trainer.logging.evaluation.reset()
        try trainer.strategy.synchronizeBuffers(module)
        let modes = module.modes
        try withoutGradient {
            trainer.logging.scope = .none("while modes change")
            try change(stage.modelEvaluate)
            trainer.logging.scope = stage.scope
            trainer.logging.batchSize = 1
            try call(stage.start)
            try call(stage.epochStart)
            let batches = loader.batches(of: sampler, limit: count)
            while let next = try read(batches) {
                // A rank without samples in a short batch has nothing to do, and nothing to wait for.
                if let batch = next.batch { try runBatch(batch, next.index) }
            }
            trainer.logging.batchSize = 1
            try call(stage.epochEnd)
        }
        let results = try finish()
        try call(stage.end)
        module.restoreModes(modes)
        trainer.logging.scope = .none("while modes change")
        try change(stage.modelTrain)
        return results
    }

    /// Finds out whether the limit makes sense, before an epoch of training is spent.
    func check(limit: BatchLimit) throws { _ = try count(sampler(of: loader()), limit) }

    private func call(_ moment: EvaluationStage.Moment) throws {
        try trainer.call(
            moment.name, { try moment.callback($0)(trainer, module) }, { try moment.module(module)() })
    }

    private func change(_ mode: EvaluationStage.ModeChange) throws {
        try trainer.timed(mode.name, module) { try mode.module(module)() }
    }

    private func sampler(of loader: DataLoader<Batch>) throws -> DistributedSampler {
        try loader.sampler(
            shuffledByDefault: false, seed: trainer.seed, epoch: 0, shard: trainer.shard)
    }

    private func count(_ sampler: DistributedSampler, _ limit: BatchLimit) throws -> Int {
        try limit.count(of: sampler.batchCount, what: "trainer.\(stage.limitFlag)")
    }

    /// The next batch; what goes wrong in reading it is reported as that batch's.
    private func read(_ batches: BatchIterator<Batch>) throws -> IndexedBatch<Batch>? {
        Watchdog.phase = TrainingPhase(
            "reading \(stage.name) data", epoch: trainer.progress.epoch, batch: batches.nextIndex)
        return try trainer.timed(.nextEvaluationBatch) { try batches.next() }
    }

    private func runBatch(_ batch: Batch, _ index: Int) throws {
        Watchdog.phase = TrainingPhase(stage.name, epoch: trainer.progress.epoch, batch: index)
        RandomContext.current.begin(step: index, shard: trainer.globalRank)
        trainer.logging.batchSize = batch.sampleCount
        try trainer.call(
            stage.batchStart.name, { try stage.batchStart.callback($0)(trainer, module, batch, index, 0) },
            { try stage.batchStart.module(module)(batch, index, 0) })
        let batch: Batch = try trainer.transfer(batch, to: module)
        let output = try trainer.timed(.evaluationStep) { try step(batch, index) }
        trainer.logging.evaluation.hasBatches = true
        try trainer.call(
            stage.batchEnd.name, { try stage.batchEnd.callback($0)(trainer, module, output, batch, index, 0) },
            { try stage.batchEnd.module(module)(output, batch, index, 0) })
    }

    /// One exchange for all metrics; then loggers and callbacks may see them.
    private func finish() throws -> [String: Double] {
        guard stage.scope == .evaluation else { return [:] }
        Watchdog.phase = TrainingPhase("the end of \(stage.name)", epoch: trainer.progress.epoch)
        let entries = try trainer.timed(.reduceMetrics) {
            try trainer.logging.evaluation.reduced(
                over: trainer.strategy, in: module, tag: "metrics of a \(stage.name)")
        }
        LoggedMetrics.reset(entries, in: module)
        let values = trainer.logging.finish(entries)
        if !trainer.isSanityChecking { try trainer.logToLoggers(values) }
        trainer.logging.scope = .none("after the metrics of a \(stage.name) are final")
        var results: [String: Double] = [:]
        for entry in entries where entry.onEpoch { results[entry.epochName] = entry.value }
        return results
    }
}
