import Foundation
import Tensors

/// Where a rank stands in the world, as far as reading data goes.
public struct Shard: Sendable, Hashable {
    /// This rank.
    public var rank: Int
    /// The number of ranks.
    public var worldSize: Int

    /// A place among ranks; by default the only one.
    public init(rank: Int = 0, worldSize: Int = 1) {
        self.rank = rank
        self.worldSize = worldSize
    }
}

/// Reads a data set batch by batch, each rank its own share.
///
/// Nothing about ranks has to be said: the trainer asks for the batches of its rank (see Note [Every sample once]).
public final class DataLoader<Batch: DataBatch> {
    /// The number of samples.
    public let sampleCount: Int
    /// How many samples make a batch.
    public let batchSize: BatchSize
    /// Whether samples come in random order; nil: random for training, in order otherwise.
    public let shuffles: Bool?
    /// Whether a short last batch is left out.
    public let dropsLast: Bool
    /// How many batches are read ahead on a thread of the loader's own; 0 reads when asked.
    public let prefetchCount: Int
    private let read: @Sendable ([Int]) throws -> Batch

    /// A loader over a data set.
    ///
    /// - Parameters:
    ///   - dataset: The samples.
    ///   - batchSize: Per rank (a plain number) or `.global`.
    ///   - shuffles: By default, training is in random order and everything else in the data set's order.
    ///   - dropsLast: Leaves out a short last batch.
    ///   - prefetchCount: Batches to read ahead; by default 2, and 0 for data in memory. What is read does not depend
    ///     on it, random augmentation included: see ``BatchIterator``.
    public init<D: Dataset>(
        _ dataset: D, batchSize: BatchSize, shuffles: Bool? = nil, dropsLast: Bool = false, prefetchCount: Int? = nil
    ) where D.Batch == Batch {
        require(prefetchCount ?? 0 >= 0, "DataLoader", "\(prefetchCount ?? 0) batches to read ahead")
        sampleCount = dataset.count
        self.batchSize = batchSize
        self.shuffles = shuffles
        self.dropsLast = dropsLast
        self.prefetchCount = prefetchCount ?? (dataset.isInMemory ? 0 : 2)
        // Two iterators of one loader may be alive, or one that was dropped may still be reading its last batch.
        let lock = NSLock()
        read = { indices in try lock.withLock { try dataset.batch(at: indices) } }
    }

    /// The sampler of one rank for one epoch.
    public func sampler(shuffledByDefault: Bool, seed: UInt64, epoch: Int, shard: Shard) throws -> DistributedSampler {
        try DistributedSampler(
            count: sampleCount, batchSize: batchSize, shuffles: shuffles ?? shuffledByDefault, seed: seed, epoch: epoch,
            rank: shard.rank, worldSize: shard.worldSize, dropsLast: dropsLast)
    }

    /// The batches of one rank for one epoch, from a position on.
    public func batches(of sampler: DistributedSampler, from first: Int = 0, limit: Int = .max) -> BatchIterator<Batch>
    {
        BatchIterator(
            sampler: sampler, range: first..<max(first, min(limit, sampler.batchCount)), read: read,
            prefetchCount: prefetchCount)
    }
}

/// One batch as a rank sees it.
public struct IndexedBatch<Batch: DataBatch>: Sendable {
    /// The position of the batch in the epoch.
    public let index: Int
    /// The data set indices of this rank's samples.
    public let sampleIndices: [Int]
    /// This rank's samples; nil when the batch has fewer samples than there are ranks, and none for this one.
    public let batch: Batch?
}

/// Yields a rank's batches in order, reading ahead if asked to.
///
/// Random numbers that a data set draws from the ``RandomContext`` while it reads a batch depend on the seed, the epoch,
/// the number of the batch and the rank, and on nothing else: neither on reading ahead nor on where a run was resumed.
public final class BatchIterator<Batch: DataBatch> {
    private let sampler: DistributedSampler
    private var range: Range<Int>
    private let read: @Sendable ([Int]) throws -> Batch
    private let prefetcher: Prefetcher<IndexedBatch<Batch>>?

    init(
        sampler: DistributedSampler, range: Range<Int>, read: @escaping @Sendable ([Int]) throws -> Batch,
        prefetchCount: Int
    ) {
        self.sampler = sampler
        self.range = range
        self.read = read
        prefetcher =
            prefetchCount == 0
            ? nil
            : Prefetcher(range: range, depth: prefetchCount) { index in
                try Self.load(index, sampler, read)
            }
    }

    private static func load(
        _ index: Int, _ sampler: DistributedSampler, _ read: ([Int]) throws -> Batch
    ) throws -> IndexedBatch<Batch> {
        let indices = sampler.indices(ofBatch: index)
        let context = sampler.randomContext(ofBatch: index)
        let batch = try RandomContext.$current.withValue(context) { indices.isEmpty ? nil : try read(indices) }
        return IndexedBatch(index: index, sampleIndices: indices, batch: batch)
    }

    /// The position of the next batch in the epoch.
    public var nextIndex: Int { range.lowerBound }

    /// The next batch, or nil at the end.
    ///
    /// - Throws: What reading the data set throws; the batch is then left out, and the next call yields the one after it.
    public func next() throws -> IndexedBatch<Batch>? {
        guard let index = range.popFirst() else { return nil }
        if let prefetcher { return try prefetcher.next() }
        return try Self.load(index, sampler, read)
    }
}
