import DataParallel
import Foundation
import MPI
import NN
import Tensors

extension Trainer {
    /// The frame around every kind of run: attach, prepare data, set up, do it, tear down; and what happens when it
    /// fails.
    ///
    /// An error in a job of many ranks cannot be survived by one of them: it is printed and ends the job.
    func run<Result>(
        _ stage: RunStage, _ module: LightningModule, data: LightningDataModule?, _ body: () throws -> Result
    ) throws -> Result {
        try configuration.precision.around { try runHere(stage, module, data: data, body) }
    }

    private func runHere<Result>(
        _ stage: RunStage, _ module: LightningModule, data: LightningDataModule?, _ body: () throws -> Result
    ) throws -> Result {
        guard status != .running else { throw TrainingError("the trainer is already running") }
        status = .running
        stopReason = nil
        self.module = module
        module.attachedTrainer = self
        module.metricNames = [:]
        // A run that failed may have left something in them.
        for (_, metric) in module.namedMetrics { metric.reset() }
        data?.trainer = self
        dataModule = data
        // Elsewhere there is nothing to save, and a signal does what it always does.
        if stage == .fit { SignalWatch.install() }
        defer { if status != .interrupted { SignalWatch.remove() } }
        do {
            try beginProfile()
            installModuleCallbacks(module)
            try prepareData(module, data)
            Watchdog.phase = TrainingPhase("setup for \(stage.rawValue)")
            logging.scope = .none("in setup")
            try data?.setup(stage)
            try call(.setup, { try $0.setup(self, module, stage) }, { try module.setup(stage) })
            try timed(.configureModel, module) { try module.configureModel() }
            applyPrecision(to: module)
            // A fit makes its directory when it knows that it can begin.
            if stage != .fit { try openProfile(stage) }
            let result = try body()
            logging.scope = .none("in teardown")
            try data?.teardown(stage)
            try call(.teardown, { try $0.teardown(self, module, stage) }, { try module.teardown(stage) })
            try endProfile(stage, isCollective: true)
            for logger in loggers { try logger.finalize("finished") }
            status = .finished
            Watchdog.phase = TrainingPhase("after \(stage.rawValue)")
            return result
        } catch {
            try fail(error, stage, module)
        }
    }

    private func fail(_ error: any Error, _ stage: RunStage, _ module: LightningModule) throws -> Never {
        let isInterruption = error is Interrupted
        status = isInterruption ? .interrupted : .failed
        logging.scope = .none("after a failure")
        dataModule?.onException(error)
        for callback in callbacks { callback.onException(self, module, error) }
        // What ends the run is worth more than what goes wrong in telling where its time went.
        try? endProfile(stage, isCollective: isInterruption)
        for logger in loggers { try? logger.finalize(isInterruption ? "interrupted" : "failed") }
        // All ranks are interrupted together; anything else may have happened to this rank alone.
        if let interruption = error as? Interrupted {
            World.endInAgreement(status: interruption.exitStatus)
        } else if worldSize > 1 {
            // Many mistakes are every rank's: rank 0 says it, and ends the job before the others speak. The launcher
            // ends them by a signal, which must work at once.
            SignalWatch.remove()
            if !isGlobalZero, !(error is CollectiveMismatch) { Thread.sleep(forTimeInterval: 1) }
            JobFailure.end(error, topology: strategy.topology)
        }
        throw error
    }

    private func installModuleCallbacks(_ module: LightningModule) {
        guard !isTrial else { return }
        let own = module.configureCallbacks().filter { configuration.savesCheckpoints || !($0 is ModelCheckpoint) }
        callbacks.removeAll { old in own.contains { type(of: $0) == type(of: old) } }
        callbacks += own
        callbacks = callbacks.filter { !($0 is ModelCheckpoint) } + callbacks.filter { $0 is ModelCheckpoint }
    }

    /// One rank per node (or of the job) prepares data while the others wait, however long it takes.
    private func prepareData(_ module: LightningModule, _ data: LightningDataModule?) throws {
        Watchdog.phase = TrainingPhase("preparing data", isWatched: false)
        let first = { (perNode: Bool) in perNode ? self.localRank == 0 : self.isGlobalZero }
        if let data, first(data.prepareDataPerNode) { try data.prepareData() }
        if first(module.prepareDataPerNode) { try timed(.prepareData, module) { try module.prepareData() } }
        try strategy.barrier("prepareData")
    }

    /// Calls a hook of all callbacks, then the module's.
    func call(_ hook: Hook, _ callbackHook: (Callback) throws -> Void, _ moduleHook: () throws -> Void) rethrows {
        try callCallbacks(hook, callbackHook)
        guard profiler != nil, let module else { return try moduleHook() }
        try timed(hook, module, moduleHook)
    }

    /// Where a batch passes on its way to a step.
    func transfer<Batch: DataBatch>(_ batch: Batch, to module: LightningModule, dataLoaderIndex: Int = 0) throws
        -> Batch
    {
        try timed(.transferBatchToDevice) {
            try transfer(boxed: batch, to: module, dataLoaderIndex: dataLoaderIndex).typed
        }
    }

    /// The same for a batch in a box already: each new box is a piece of memory, and hooks are called at every step.
    func transfer<Batch: DataBatch>(boxed batch: any DataBatch, to module: LightningModule, dataLoaderIndex: Int = 0)
        throws -> (typed: Batch, boxed: any DataBatch)
    {
        // A data module's hooks come instead of the module's, where it has them.
        let (data, index) = (dataModule, dataLoaderIndex)
        let before =
            try data?.onBeforeBatchTransfer(batch, dataLoaderIndex: index)
            ?? module.onBeforeBatchTransfer(batch, dataLoaderIndex: index)
        let moved =
            try data?.transferBatchToDevice(before, dataLoaderIndex: index)
            ?? module.transferBatchToDevice(before, dataLoaderIndex: index)
        let after =
            try data?.onAfterBatchTransfer(moved, dataLoaderIndex: index)
            ?? module.onAfterBatchTransfer(moved, dataLoaderIndex: index)
        guard let typed = after as? Batch else {
            throw TrainingError(
                "the batch-transfer hooks of \(type(of: module)) made a \(type(of: after)) of a \(Batch.self)")
        }
        guard let type = configuration.precision.converted else { return (typed, after) }
        let converted = typed.converted(toFloating: type)
        return (converted, converted)
    }

    /// This rank's place, as far as reading data goes.
    var shard: Shard { Shard(rank: globalRank, worldSize: worldSize) }
}
