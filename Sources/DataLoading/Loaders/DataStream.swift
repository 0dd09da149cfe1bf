import Tensors

/// For whom a stream is opened.
public struct StreamRequest: Sendable, Hashable {
    /// Whose samples: a stream gives each rank samples of its own.
    public var shard: Shard
    /// The number of the epoch, from 0.
    public var epoch: Int
    /// The seed of the run.
    public var seed: UInt64
    /// Samples in a batch of this rank.
    public var batchSize: Int
}

/// Samples that come one after the other, of which nobody knows how many there are.
///
/// It is told rank and world and must give each rank other samples; ``SampleStream`` does so by itself. The ranks may
/// have different numbers of batches: those at the end wait for the others. An epoch ends when all are at their end. To
/// go on in the middle of an epoch, batches are read and dropped.
public protocol DataStream<Batch>: Sendable {
    /// What it yields.
    associatedtype Batch: DataBatch
    /// Begins an epoch: what is returned yields the rank's batches, and nil at the end.
    ///
    /// Called on the thread that reads.
    func open(_ request: StreamRequest) throws -> () throws -> Batch?
}

/// A stream of single samples that every rank reads: of a full round each rank keeps one.
public struct SampleStream<Sample, Batch: DataBatch>: DataStream {
    private let begin: @Sendable (StreamRequest) throws -> () throws -> Sample?
    private let collate: @Sendable ([Sample]) throws -> Batch

    /// A stream of samples.
    ///
    /// - Parameters:
    ///   - begin: Begins an epoch with the same samples on all ranks; what it returns yields one after the other, and nil
    ///     at the end.
    ///   - collate: Makes a batch of samples.
    public init(
        _ begin: @escaping @Sendable (StreamRequest) throws -> () throws -> Sample?,
        collate: @escaping @Sendable ([Sample]) throws -> Batch
    ) {
        self.begin = begin
        self.collate = collate
    }

    /// Every W-th sample, from the rank's own number on, W being the number of ranks.
    public func open(_ request: StreamRequest) throws -> () throws -> Batch? {
        let next = try begin(request)
        var position = 0
        return {
            var samples: [Sample] = []
            while samples.count < request.batchSize, let sample = try next() {
                if position % request.shard.worldSize == request.shard.rank { samples.append(sample) }
                position += 1
            }
            return samples.isEmpty ? nil : try collate(samples)
        }
    }
}

extension EpochSampler {
    /// The batches of a stream.
    init(_ stream: some DataStream<Batch>, shardSize: Int, _ request: EpochRequest) {
        let opening = StreamRequest(
            shard: request.shard, epoch: request.epoch, seed: request.seed, batchSize: shardSize)
        let epochSeed = DistributedSampler.seed(request.seed, request.epoch, 0)
        self.init(
            batchCount: .max, globalBatchSize: shardSize * request.shard.worldSize, count: 0, counts: { _ in 0 },
            reader: { first in
                let reading = StreamReading(stream, opening, epochSeed, from: first)
                return { try reading.next($0) }
            })
    }
}

/// A stream that is being read.
///
/// Sendable: its fields are touched by one thread at a time, the one that reads.
private final class StreamReading<Batch: DataBatch>: @unchecked Sendable {
    private let stream: any DataStream<Batch>
    private let request: StreamRequest
    private let epochSeed: UInt64
    private var position = 0
    private let first: Int
    private var read: (() throws -> Batch?)?
    private var isAtEnd = false

    init(_ stream: any DataStream<Batch>, _ request: StreamRequest, _ epochSeed: UInt64, from first: Int) {
        (self.stream, self.request, self.epochSeed, self.first) = (stream, request, epochSeed, first)
    }

    func next(_ index: Int) throws -> IndexedBatch<Batch>? {
        while position < first { if try advance() == nil { return nil } }
        guard let batch = try advance() else { return nil }
        return IndexedBatch(index: index, sampleIndices: [], sampleCount: batch.sampleCount, batch: batch)
    }

    private func advance() throws -> Batch? {
        guard !isAtEnd else { return nil }
        // As with data sets, random numbers belong to the batch.
        let context = RandomContext(seed: DistributedSampler.seed(epochSeed, position, request.shard.rank))
        position += 1
        let batch = try RandomContext.$current.withValue(context) {
            let reading = try read ?? stream.open(request)
            read = reading
            return try reading()
        }
        isAtEnd = batch == nil
        return batch
    }
}
