import DataLoading
import DataParallel

/// The training batches of an epoch, in step on all ranks.
///
/// Where the number of batches is known nothing is exchanged. A stream is read one batch ahead, and before each batch the
/// ranks tell each other how many samples they have and whether more follow: one small collective, and none in one process.
final class EpochBatches<Batch: DataBatch> {
    /// A batch of the epoch.
    struct Turn {
        let batch: IndexedBatch<Batch>
        /// Samples over all ranks.
        let globalCount: Int
        /// Whether no rank has another batch.
        let isLast: Bool
    }

    private let trainer: Trainer
    private let sampler: EpochSampler<Batch>
    private let batches: BatchIterator<Batch>
    private let limit: Int
    private var ahead: IndexedBatch<Batch>?
    private var index: Int
    /// Batches of the epoch; `Int.max` while it is not known.
    private(set) var count: Int

    init(_ trainer: Trainer, _ loader: DataLoader<Batch>, _ sampler: EpochSampler<Batch>, limit: Int) throws {
        self.trainer = trainer
        self.sampler = sampler
        self.limit = limit
        index = trainer.progress.batchInEpoch
        count = limit
        batches = loader.batches(of: sampler, from: index, limit: limit)
        guard sampler.isStream else { return }
        ahead = try read()
        let having = try trainer.strategy.sum([ahead == nil ? 0 : 1], tag: "the beginning of a stream")[0]
        if having == 0 { count = min(limit, index) }
    }

    /// The next batch; nil at the end.
    func next() throws -> Turn? {
        guard index < count else { return nil }
        defer { index += 1 }
        guard sampler.isStream else {
            guard let batch = try read() else { return nil }
            return Turn(
                batch: batch, globalCount: sampler.globalCount(ofBatch: batch.index), isLast: batch.index == count - 1)
        }
        let own = ahead ?? IndexedBatch(index: index, sampleIndices: [], sampleCount: 0, batch: nil)
        ahead = ahead == nil ? nil : try read()
        let sums = try trainer.strategy.sum(
            [Double(own.sampleCount), own.batch == nil ? 0 : 1, ahead == nil ? 0 : 1], tag: "batch of a stream")
        if sums[2] == 0 { count = index + 1 }
        guard trainer.manualState == nil || sums[1] == Double(trainer.worldSize) else {
            throw TrainingError(
                "\(trainer.worldSize - Int(sums[1])) ranks have no samples in batch \(index) of a stream, and a module that applies gradients itself needs some on each; limit the batches (trainer.limitTrainBatches)"
            )
        }
        return Turn(batch: own, globalCount: Int(sums[0]), isLast: index == count - 1)
    }

    /// Ends the epoch here.
    func end() { count = index }

    /// The next batch; what goes wrong in reading it is reported as that batch's.
    private func read() throws -> IndexedBatch<Batch>? {
        Watchdog.phase = TrainingPhase(
            "reading training data", epoch: trainer.progress.epoch, batch: batches.nextIndex)
        return try trainer.timed(.nextTrainingBatch) { try batches.next() }
    }
}
