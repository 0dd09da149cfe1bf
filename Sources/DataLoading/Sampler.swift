import Tensors

/// How many samples make a batch.
public enum BatchSize: Sendable, Hashable, ExpressibleByIntegerLiteral {
    /// Samples a rank works on at a time, whatever the number of ranks. A plain number means this.
    case perRank(Int)
    /// Samples all ranks together work on at a time: the result does not depend on the number of ranks.
    case global(Int)

    var size: Int {
        switch self {
        case .perRank(let size), .global(let size): size
        }
    }

    /// Samples per rank.
    public init(integerLiteral value: Int) { self = .perRank(value) }
}

/// Which samples a rank reads, batch by batch.
///
/// Note [Every sample once]: the order of samples is a function of (seed, epoch) alone. It is cut into global batches,
/// and each global batch into one shard per rank, in order. So each sample is read exactly once per epoch on any number
/// of ranks, and all ranks count the same number of batches. The last, short batch is shared evenly too, so that no rank
/// waits for another that has all the work: shards differ by at most one sample, the earlier ones being the larger, and
/// a rank has none only when there are fewer samples than ranks. To resume at batch `b` is to begin at `b`.
public struct DistributedSampler: Sendable {
    /// The number of samples.
    public let count: Int
    /// Samples in a rank's shard of a full batch.
    public let shardSize: Int
    /// This rank, and how many there are.
    public let rank: Int
    /// The number of ranks.
    public let worldSize: Int
    private let epochSeed: UInt64
    private let order: [Int]?
    private let dropsLast: Bool

    /// The sampler of one rank for one epoch.
    ///
    /// - Parameters:
    ///   - count: The number of samples.
    ///   - batchSize: Per rank or for all ranks; a global size must be a multiple of the number of ranks.
    ///   - shuffles: Whether the order is random; otherwise it is that of the data set.
    ///   - seed: Decides the random order, with `epoch`.
    ///   - epoch: The number of the epoch, from 0.
    ///   - rank: Whose samples: one of `0 ..< worldSize`.
    ///   - worldSize: The number of ranks.
    ///   - dropsLast: Leaves out the last batch when it is short.
    /// - Throws: ``DataLoadingError`` when the batch size is not positive or cannot be shared by the ranks.
    public init(
        count: Int, batchSize: BatchSize, shuffles: Bool, seed: UInt64, epoch: Int, rank: Int, worldSize: Int,
        dropsLast: Bool = false
    ) throws {
        require(
            count >= 0 && epoch >= 0 && worldSize > 0 && rank >= 0 && rank < worldSize, "DistributedSampler",
            "\(count) samples, epoch \(epoch), rank \(rank) of \(worldSize)")
        if batchSize.size <= 0 {
            throw DataLoadingError("a batch of \(batchSize.size) samples; it must have at least one")
        }
        switch batchSize {
        case .perRank(let size): shardSize = size
        case .global(let size):
            guard size % worldSize == 0 else {
                throw DataLoadingError(
                    "a global batch of \(size) samples cannot be shared evenly by \(worldSize) ranks; use a multiple of \(worldSize)"
                )
            }
            shardSize = size / worldSize
        }
        self.count = count
        epochSeed = Self.seed(seed, epoch, 0)
        self.rank = rank
        self.worldSize = worldSize
        self.dropsLast = dropsLast
        if shuffles {
            var stream = RandomStream(seed: seed, purpose: .sampling, step: UInt64(epoch))
            order = stream.permutation(count)
        } else {
            order = nil
        }
    }

    /// Samples in a full batch over all ranks.
    public var globalBatchSize: Int { shardSize * worldSize }

    /// The number of batches, the same on all ranks.
    public var batchCount: Int {
        dropsLast ? count / globalBatchSize : (count + globalBatchSize - 1) / globalBatchSize
    }

    /// The data set indices of this rank's shard of a batch; empty when the batch has too few samples for all ranks.
    public func indices(ofBatch batch: Int) -> [Int] {
        require(batch >= 0, "DistributedSampler", "batch \(batch)")
        let (share, rest) = globalCount(ofBatch: batch).quotientAndRemainder(dividingBy: worldSize)
        // The first `rest` ranks take one sample more.
        let start = batch * globalBatchSize + rank * share + min(rank, rest)
        let end = start + share + (rank < rest ? 1 : 0)
        guard let order, start < end else { return Array(start..<end) }
        return Array(order[start..<end])
    }

    /// Samples in a batch over all ranks; 0 behind the last batch.
    public func globalCount(ofBatch batch: Int) -> Int {
        batch < batchCount ? min(globalBatchSize, count - batch * globalBatchSize) : 0
    }

    /// The random numbers of whoever reads a batch, such as an augmentation.
    func randomContext(ofBatch batch: Int) -> RandomContext {
        // A stream's names are (seed, step, shard), and the epoch is a fourth: one seed per epoch, then one per batch.
        RandomContext(seed: Self.seed(epochSeed, batch, rank))
    }

    private static func seed(_ seed: UInt64, _ step: Int, _ shard: Int) -> UInt64 {
        var stream = RandomStream(seed: seed, purpose: .augmentation, step: UInt64(step), shard: UInt64(shard))
        return stream.doubleWord()
    }
}

/// Data that cannot be read or shared as asked.
public struct DataLoadingError: Error, CustomStringConvertible {
    /// What is wrong and what to do.
    public let description: String
    /// An error with its message.
    public init(_ description: String) { self.description = description }
}
