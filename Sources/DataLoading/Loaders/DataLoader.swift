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
/// Outside of a trainer, `for batch in loader` goes through all of it; see ``epoch(_:shard:seed:)``.
public final class DataLoader<Batch: DataBatch>: Sendable {
    /// The number of samples; 0 of a stream.
    public let sampleCount: Int
    /// How many samples make a batch; nil when that is not one number.
    public let batchSize: BatchSize?
    /// Whether samples come in random order; nil: random for training, in order otherwise.
    public let shuffles: Bool?
    /// Whether a short last batch is left out.
    public let dropsLast: Bool
    /// How many batches are read ahead on a thread of the loader's own; 0 reads when asked.
    public let prefetchCount: Int
    /// The loaders this one reads one after the other; itself when it is one loader.
    public var parts: [DataLoader<Batch>] { sequence.isEmpty ? [self] : sequence }
    private let sequence: [DataLoader<Batch>]
    private let begin: @Sendable (EpochRequest) throws -> EpochSampler<Batch>

    init(
        sampleCount: Int, batchSize: BatchSize? = nil, shuffles: Bool? = nil, dropsLast: Bool = false,
        prefetchCount: Int, sequence: [DataLoader<Batch>] = [],
        begin: @escaping @Sendable (EpochRequest) throws -> EpochSampler<Batch>
    ) {
        require(prefetchCount >= 0, "DataLoader", "\(prefetchCount) batches to read ahead")
        self.sampleCount = sampleCount
        self.batchSize = batchSize
        self.shuffles = shuffles
        self.dropsLast = dropsLast
        self.prefetchCount = prefetchCount
        self.sequence = sequence
        self.begin = begin
    }

    /// A loader over a data set.
    ///
    /// - Parameters:
    ///   - dataset: The samples.
    ///   - batchSize: Per rank (a plain number) or `.global`.
    ///   - shuffles: By default, training is in random order and everything else in the data set's order.
    ///   - dropsLast: Leaves out a short last batch.
    ///   - prefetchCount: Batches to read ahead; by default 2, and 0 for data in memory. What is read does not depend
    ///     on it, random augmentation included: see ``BatchIterator``.
    public convenience init<D: Dataset>(
        _ dataset: D, batchSize: BatchSize, shuffles: Bool? = nil, dropsLast: Bool = false, prefetchCount: Int? = nil
    ) where D.Batch == Batch {
        let (count, read) = (dataset.count, Self.reader(of: dataset))
        self.init(
            sampleCount: count, batchSize: batchSize, shuffles: shuffles, dropsLast: dropsLast,
            prefetchCount: prefetchCount ?? (dataset.isInMemory ? 0 : 2)
        ) { request in
            guard request.exchange == nil || request.shard.worldSize == 1 else {
                throw DataLoadingError(
                    "trainer.useDistributedSampler is off, and a loader has no sampler of its own: each of the \(request.shard.worldSize) ranks would read all \(count) samples. Give the loader a sampler that says which samples a rank reads, or leave useDistributedSampler on"
                )
            }
            let sampler = try DistributedSampler(
                count: count, batchSize: batchSize, shuffles: shuffles ?? request.shufflesByDefault, seed: request.seed,
                epoch: request.epoch, rank: request.shard.rank, worldSize: request.shard.worldSize,
                dropsLast: dropsLast)
            return EpochSampler(sampler, read)
        }
    }

    /// A loader over a data set, in an order of one's own.
    ///
    /// - Parameters:
    ///   - dataset: The samples.
    ///   - batchSize: Per rank (a plain number) or `.global`.
    ///   - sampler: The order; it is shared by the ranks without padding or repeats.
    ///   - dropsLast: Leaves out a short last batch.
    ///   - prefetchCount: Batches to read ahead; by default 2, and 0 for data in memory.
    public convenience init<D: Dataset>(
        _ dataset: D, batchSize: BatchSize, sampler: any Sampler, dropsLast: Bool = false, prefetchCount: Int? = nil
    ) where D.Batch == Batch {
        let (count, read) = (dataset.count, Self.reader(of: dataset))
        self.init(
            sampleCount: count, batchSize: batchSize, dropsLast: dropsLast,
            prefetchCount: prefetchCount ?? (dataset.isInMemory ? 0 : 2)
        ) { request in
            let shardSize = try batchSize.shardSize(worldSize: request.shard.worldSize)
            let order = try sampler.indices(request.samplerRequest(count))
            try Self.check(order, below: count, of: sampler)
            guard request.exchange != nil else {
                return EpochSampler(
                    DistributedSampler(
                        order: order, shardSize: shardSize, seed: request.seed, epoch: request.epoch,
                        shard: request.shard, dropsLast: dropsLast), read)
            }
            let batches = stride(from: 0, to: order.count, by: shardSize).map { start in
                Array(order[start..<Swift.min(start + shardSize, order.count)])
            }
            return EpochSampler(
                try request.ownSampler(batches.filter { !dropsLast || $0.count == shardSize }), read)
        }
    }

    /// A loader over a data set, in batches of one's own.
    ///
    /// - Parameters:
    ///   - dataset: The samples.
    ///   - batchSampler: The batches; each is shared by the ranks.
    ///   - prefetchCount: Batches to read ahead; by default 2, and 0 for data in memory.
    public convenience init<D: Dataset>(
        _ dataset: D, batchSampler: any BatchSampler, prefetchCount: Int? = nil
    ) where D.Batch == Batch {
        let (count, read) = (dataset.count, Self.reader(of: dataset))
        self.init(sampleCount: count, prefetchCount: prefetchCount ?? (dataset.isInMemory ? 0 : 2)) { request in
            let batches = try batchSampler.batches(request.samplerRequest(count))
            guard !batches.contains(where: \.isEmpty) else {
                throw DataLoadingError("\(type(of: batchSampler)) made an empty batch")
            }
            try Self.check(batches.joined(), below: count, of: batchSampler)
            guard request.exchange == nil else { return EpochSampler(try request.ownSampler(batches), read) }
            return EpochSampler(
                DistributedSampler(batches: batches, seed: request.seed, epoch: request.epoch, shard: request.shard),
                read)
        }
    }

    /// A loader over a stream.
    ///
    /// - Parameters:
    ///   - stream: Gives each rank samples of its own.
    ///   - batchSize: Per rank (a plain number) or `.global`.
    ///   - prefetchCount: Batches to read ahead.
    public convenience init<S: DataStream>(
        stream: S, batchSize: BatchSize, prefetchCount: Int = 2
    ) where S.Batch == Batch {
        self.init(sampleCount: 0, batchSize: batchSize, prefetchCount: prefetchCount) { request in
            EpochSampler(stream, shardSize: try batchSize.shardSize(worldSize: request.shard.worldSize), request)
        }
    }

    /// One reader at a time: two iterators of one loader may be alive, or one that was dropped may still be reading its
    /// last batch.
    private static func reader<D: Dataset>(
        of dataset: D
    ) -> @Sendable ([Int]) throws -> Batch where D.Batch == Batch {
        let lock = NSLock()
        return { indices in try lock.withLock { try dataset.batch(at: indices) } }
    }

    private static func check(_ order: some Sequence<Int>, below count: Int, of sampler: Any) throws {
        guard let outside = order.first(where: { $0 < 0 || $0 >= count }) else { return }
        throw DataLoadingError("\(type(of: sampler)) asks for sample \(outside) of a data set of \(count)")
    }

    /// The batches of one rank for one epoch.
    ///
    /// - Parameters:
    ///   - shuffledByDefault: Whether the order is random when the loader does not say.
    ///   - seed: Decides everything random, with `epoch`.
    ///   - epoch: The number of the epoch, from 0.
    ///   - shard: Whose batches.
    ///   - exchange: Tells all ranks this rank's batches and returns those of all ranks: then samplers say what a rank
    ///     reads. By default they say the order of all ranks together.
    /// - Throws: ``DataLoadingError`` when the data cannot be shared as asked.
    public func sampler(
        shuffledByDefault: Bool, seed: UInt64, epoch: Int, shard: Shard,
        exchange: (([[Int]]) throws -> [[[Int]]])? = nil
    ) throws -> EpochSampler<Batch> {
        try sampler(
            EpochRequest(
                shufflesByDefault: shuffledByDefault, seed: seed, epoch: epoch, shard: shard, exchange: exchange))
    }

    func sampler(_ request: EpochRequest) throws -> EpochSampler<Batch> { try begin(request) }

    /// The batches of one rank for one epoch, from a position on.
    public func batches(of sampler: EpochSampler<Batch>, from first: Int = 0, limit: Int = .max) -> BatchIterator<Batch>
    {
        BatchIterator(
            sampler: sampler, range: first..<Swift.max(first, Swift.min(limit, sampler.batchCount)),
            prefetchCount: prefetchCount)
    }
}

extension EpochRequest {
    /// What a sampler is asked: for all ranks together, or for one of them.
    func samplerRequest(_ count: Int) -> SamplerRequest {
        SamplerRequest(count: count, epoch: epoch, seed: seed, shard: exchange == nil ? Shard() : shard)
    }

    /// This rank's own batches beside those of the others.
    ///
    /// - Throws: ``DataLoadingError`` on every rank when a sample is read by two of them.
    func ownSampler(_ batches: [[Int]]) throws -> DistributedSampler {
        let all = try exchange?(batches) ?? [batches]
        var owners: [Int: Int] = [:]
        for (rank, batches) in all.enumerated() {
            for sample in batches.joined() {
                if let owner = owners[sample], owner != rank {
                    throw DataLoadingError(
                        "trainer.useDistributedSampler is off, and sample \(sample) is read by the ranks \(owner) and \(rank): a sampler must give each rank samples of its own"
                    )
                }
                owners[sample] = rank
            }
        }
        return DistributedSampler(own: all, seed: seed, epoch: epoch, shard: shard)
    }
}

// MARK: - Outside of a trainer

extension DataLoader: Sequence {
    /// The batches of an epoch, as ``DataLoader/sampler(shuffledByDefault:seed:epoch:shard:exchange:)`` has them.
    ///
    /// - Parameters:
    ///   - number: The number of the epoch: of a loader that shuffles, each has another order.
    ///   - shard: Whose batches; by default there is one rank, and it reads everything.
    ///   - seed: By default that of `seedEverything`.
    /// - Throws: ``DataLoadingError`` when the data cannot be shared as asked.
    public func epoch(
        _ number: Int = 0, shard: Shard = Shard(), seed: UInt64? = nil
    ) throws -> BatchIterator<Batch> {
        batches(
            of: try sampler(
                shuffledByDefault: false, seed: seed ?? RandomContext.current.seed, epoch: number, shard: shard))
    }

    /// All batches, for `for batch in loader`: in the data set's order unless the loader shuffles, and then in the same
    /// order each time.
    ///
    /// A `for` cannot throw for its sequence, so that data that cannot be read ends the program with its message. Where it
    /// must not, and for other epochs: `let batches = try loader.epoch(3)`, `while let next = try batches.next()`.
    public func makeIterator() -> AnyIterator<Batch> {
        do {
            let batches = try epoch()
            return AnyIterator {
                do { return try batches.next()?.batch } catch { fail("DataLoader", "\(error)") }
            }
        } catch { fail("DataLoader", "\(error)") }
    }
}
