import Tensors

/// What a loader is asked for at the beginning of an epoch.
struct EpochRequest {
    /// Whether samples come in random order when the loader does not say.
    var shufflesByDefault: Bool
    var seed: UInt64
    var epoch: Int
    var shard: Shard
    /// Tells all ranks this rank's batches and returns those of all; nil when the loader cuts batches into shares itself.
    var exchange: (([[Int]]) throws -> [[[Int]]])?
}

/// The batches of one rank in one epoch: how many, how large, and how to read them.
public struct EpochSampler<Batch: DataBatch>: Sendable {
    /// The number of batches, the same on all ranks; `Int.max` of a stream, of which it is not known.
    public let batchCount: Int
    /// Samples in a full batch over all ranks.
    public let globalBatchSize: Int
    /// Samples of an epoch over all ranks; 0 of a stream.
    public let count: Int
    private let counts: @Sendable (Int) -> Int
    private let samples: @Sendable (Int) -> [Int]
    /// Begins reading at a batch; what it makes is called for one batch after the other.
    let reader: @Sendable (_ first: Int) -> Reader

    /// Reads the batch of a number; nil at the end of a stream.
    typealias Reader = @Sendable (Int) throws -> IndexedBatch<Batch>?

    init(
        batchCount: Int, globalBatchSize: Int, count: Int, counts: @escaping @Sendable (Int) -> Int,
        samples: (@Sendable (Int) -> [Int])? = nil, reader: @escaping @Sendable (Int) -> Reader
    ) {
        hasIndices = samples != nil
        self.batchCount = batchCount
        self.globalBatchSize = globalBatchSize
        self.count = count
        self.counts = counts
        self.samples = samples ?? { _ in [] }
        self.reader = reader
    }

    /// The batches of a data set, as a sampler shares them.
    init(_ sampler: DistributedSampler, _ read: @escaping @Sendable ([Int]) throws -> Batch) {
        self.init(
            batchCount: sampler.batchCount, globalBatchSize: sampler.globalBatchSize, count: sampler.count,
            counts: { sampler.globalCount(ofBatch: $0) }, samples: { sampler.indices(ofBatch: $0) },
            reader: { _ in
                { index in
                    let indices = sampler.indices(ofBatch: index)
                    let batch = try RandomContext.$current.withValue(sampler.randomContext(ofBatch: index)) {
                        indices.isEmpty ? nil : try read(indices)
                    }
                    return IndexedBatch(
                        index: index, sampleIndices: indices, sampleCount: indices.count, batch: batch)
                }
            })
    }

    /// Whether the samples have indices in a data set.
    public let hasIndices: Bool

    /// Whether the number of batches is not known before they are read.
    public var isStream: Bool { batchCount == .max }

    /// The data set indices of this rank's samples of a batch; empty when there is no single data set.
    public func indices(ofBatch batch: Int) -> [Int] { samples(batch) }

    /// Samples in a batch over all ranks; 0 behind the last batch, and of a stream.
    public func globalCount(ofBatch batch: Int) -> Int { counts(batch) }

    /// The same with batches of another kind.
    func map<Other: DataBatch>(_ transform: @escaping @Sendable (Batch) throws -> Other) -> EpochSampler<Other> {
        let source = reader
        return EpochSampler<Other>(
            batchCount: batchCount, globalBatchSize: globalBatchSize, count: count, counts: counts,
            samples: hasIndices ? samples : nil,
            reader: { first in
                let read = source(first)
                return { index in try read(index)?.map(transform) }
            })
    }
}

/// One batch as a rank sees it.
public struct IndexedBatch<Batch: DataBatch>: Sendable {
    /// The position of the batch in the epoch.
    public let index: Int
    /// The data set indices of this rank's samples; empty when there is no single data set.
    public let sampleIndices: [Int]
    /// The number of this rank's samples.
    public let sampleCount: Int
    /// This rank's samples; nil when the batch has fewer samples than there are ranks, and none for this one.
    public let batch: Batch?

    package init(index: Int, sampleIndices: [Int], sampleCount: Int, batch: Batch?) {
        (self.index, self.sampleIndices, self.sampleCount, self.batch) = (index, sampleIndices, sampleCount, batch)
    }

    func map<Other: DataBatch>(_ transform: (Batch) throws -> Other) rethrows -> IndexedBatch<Other> {
        IndexedBatch<Other>(
            index: index, sampleIndices: sampleIndices, sampleCount: sampleCount, batch: try batch.map(transform))
    }
}

/// Yields a rank's batches in order, reading ahead if asked to.
///
/// Random numbers that a data set draws from the ``RandomContext`` while it reads a batch depend on the seed, the epoch,
/// the number of the batch and the rank, and on nothing else: neither on reading ahead nor on where a run was resumed.
public final class BatchIterator<Batch: DataBatch> {
    private var range: Range<Int>
    private let read: EpochSampler<Batch>.Reader
    private let prefetcher: Prefetcher<IndexedBatch<Batch>?>?

    init(sampler: EpochSampler<Batch>, range: Range<Int>, prefetchCount: Int) {
        self.range = range
        let read = sampler.reader(range.lowerBound)
        self.read = read
        prefetcher = prefetchCount == 0 ? nil : Prefetcher(range: range, depth: prefetchCount) { try read($0) }
    }

    /// The position of the next batch in the epoch.
    public var nextIndex: Int { range.lowerBound }

    /// The next batch, or nil at the end.
    ///
    /// - Throws: What reading the data set throws; the batch is then left out, and the next call yields the one after it.
    public func next() throws -> IndexedBatch<Batch>? {
        guard let index = range.popFirst() else { return nil }
        let batch = if let prefetcher { try prefetcher.next() } else { try read(index) }
        // A stream ends when it ends; asked again it would begin to wait for nothing.
        if batch == nil { range = range.upperBound..<range.upperBound }
        return batch
    }
}
