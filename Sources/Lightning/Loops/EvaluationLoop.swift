import DataParallel
import MPI
import NN
import Tensors

/// What an evaluation is for.
enum EvaluationKind: String {
    case validation
    case test
}

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

/// Validation and test: every sample of a loader once, without gradients, in evaluation mode.
struct EvaluationLoop<Batch: DataBatch>: Evaluation {
    private let kind: EvaluationKind
    private let trainer: Trainer
    private let module: LightningModule
    private let loader: () throws -> DataLoader<Batch>
    private let step: (Batch, Int) throws -> Void

    init(
        _ kind: EvaluationKind, _ trainer: Trainer, _ module: LightningModule,
        _ loader: @escaping () throws -> DataLoader<Batch>, _ step: @escaping (Batch, Int) throws -> Void
    ) {
        self.kind = kind
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
        let loader = try loader()
        let sampler = try sampler(of: loader)
        let count = try min(most, self.count(sampler, limit))
        guard count > 0 else { return [:] }
        trainer.evaluationBatchCount = count
        trainer.logging.evaluation.reset()
        try trainer.strategy.synchronizeBuffers(module)
        let modes = module.modes
        let hooks = EvaluationHooks(kind, trainer, module)
        try withoutGradient {
            trainer.logging.scope = .none("while modes change")
            try hooks.modelEvaluate()
            trainer.logging.scope = .evaluation
            trainer.logging.batchSize = 1
            try hooks.start()
            try hooks.epochStart()
            let batches = loader.batches(of: sampler, limit: count)
            while let next = try read(batches) {
                // A rank without samples in a short batch has nothing to do, and nothing to wait for.
                guard let batch = next.batch else { continue }
                try runBatch(batch, next.index, hooks)
            }
            trainer.logging.batchSize = 1
            try hooks.epochEnd()
        }
        let results = try finish()
        try hooks.end()
        module.restoreModes(modes)
        trainer.logging.scope = .none("while modes change")
        try hooks.modelTrain()
        return results
    }

    /// Finds out whether the limit makes sense, before an epoch of training is spent.
    func check(limit: BatchLimit) throws { _ = try count(sampler(of: loader()), limit) }

    private func sampler(of loader: DataLoader<Batch>) throws -> DistributedSampler {
        try loader.sampler(
            shuffledByDefault: false, seed: trainer.seed, epoch: 0, shard: trainer.shard)
    }

    private func count(_ sampler: DistributedSampler, _ limit: BatchLimit) throws -> Int {
        let flag = kind == .test ? "limitTestBatches" : "limitValidationBatches"
        return try limit.count(of: sampler.batchCount, what: "trainer.\(flag)")
    }

    /// The next batch; what goes wrong in reading it is reported as that batch's.
    private func read(_ batches: BatchIterator<Batch>) throws -> IndexedBatch<Batch>? {
        Watchdog.phase = TrainingPhase(
            "reading \(kind.rawValue) data", epoch: trainer.progress.epoch, batch: batches.nextIndex)
        return try batches.next()
    }

    private func runBatch(_ batch: Batch, _ index: Int, _ hooks: EvaluationHooks) throws {
        Watchdog.phase = TrainingPhase(kind.rawValue, epoch: trainer.progress.epoch, batch: index)
        RandomContext.current.begin(step: index, shard: trainer.globalRank)
        trainer.logging.batchSize = batch.sampleCount
        try hooks.batchStart(batch, index)
        let batch = try trainer.transfer(batch, to: module)
        try step(batch, index)
        trainer.logging.evaluation.hasBatches = true
        try hooks.batchEnd(batch, index)
    }

    /// One exchange for all metrics; then loggers and callbacks may see them.
    private func finish() throws -> [String: Double] {
        Watchdog.phase = TrainingPhase("the end of \(kind.rawValue)", epoch: trainer.progress.epoch)
        let entries = try trainer.logging.evaluation.reduced(
            over: trainer.strategy, in: module, tag: "metrics of a \(kind.rawValue)")
        LoggedMetrics.reset(entries, in: module)
        let values = trainer.logging.finish(entries)
        if !trainer.isSanityChecking { try trainer.logToLoggers(values) }
        var results: [String: Double] = [:]
        for entry in entries where entry.onEpoch { results[entry.epochName] = entry.value }
        return results
    }
}

/// The hooks of a validation or of a test: callbacks first, then the module.
private struct EvaluationHooks {
    let kind: EvaluationKind
    let trainer: Trainer
    let module: LightningModule

    init(_ kind: EvaluationKind, _ trainer: Trainer, _ module: LightningModule) {
        self.kind = kind
        self.trainer = trainer
        self.module = module
    }

    func modelEvaluate() throws {
        kind == .test ? try module.onTestModelEvaluate() : try module.onValidationModelEvaluate()
    }

    func modelTrain() throws {
        kind == .test ? try module.onTestModelTrain() : try module.onValidationModelTrain()
    }

    func start() throws {
        switch kind {
        case .validation:
            try trainer.call({ try $0.onValidationStart(trainer, module) }, { try module.onValidationStart() })
        case .test: try trainer.call({ try $0.onTestStart(trainer, module) }, { try module.onTestStart() })
        }
    }

    func epochStart() throws {
        switch kind {
        case .validation:
            try trainer.call(
                { try $0.onValidationEpochStart(trainer, module) }, { try module.onValidationEpochStart() })
        case .test: try trainer.call({ try $0.onTestEpochStart(trainer, module) }, { try module.onTestEpochStart() })
        }
    }

    func batchStart(_ batch: any DataBatch, _ index: Int) throws {
        switch kind {
        case .validation:
            try trainer.call(
                { try $0.onValidationBatchStart(trainer, module, batch, batchIndex: index, dataLoaderIndex: 0) },
                { try module.onValidationBatchStart(batch, batchIndex: index, dataLoaderIndex: 0) })
        case .test:
            try trainer.call(
                { try $0.onTestBatchStart(trainer, module, batch, batchIndex: index, dataLoaderIndex: 0) },
                { try module.onTestBatchStart(batch, batchIndex: index, dataLoaderIndex: 0) })
        }
    }

    func batchEnd(_ batch: any DataBatch, _ index: Int) throws {
        switch kind {
        case .validation:
            try trainer.call(
                { try $0.onValidationBatchEnd(trainer, module, batch, batchIndex: index, dataLoaderIndex: 0) },
                { try module.onValidationBatchEnd(batch, batchIndex: index, dataLoaderIndex: 0) })
        case .test:
            try trainer.call(
                { try $0.onTestBatchEnd(trainer, module, batch, batchIndex: index, dataLoaderIndex: 0) },
                { try module.onTestBatchEnd(batch, batchIndex: index, dataLoaderIndex: 0) })
        }
    }

    func epochEnd() throws {
        switch kind {
        case .validation:
            try trainer.call({ try $0.onValidationEpochEnd(trainer, module) }, { try module.onValidationEpochEnd() })
        case .test: try trainer.call({ try $0.onTestEpochEnd(trainer, module) }, { try module.onTestEpochEnd() })
        }
    }

    func end() throws {
        trainer.logging.scope = .none("after the metrics of a \(kind.rawValue) are final")
        switch kind {
        case .validation:
            try trainer.call({ try $0.onValidationEnd(trainer, module) }, { try module.onValidationEnd() })
        case .test: try trainer.call({ try $0.onTestEnd(trainer, module) }, { try module.onTestEnd() })
        }
    }
}
