import Tensors

/// How many samples make a batch.
public enum BatchSize: Sendable, Hashable, ExpressibleByIntegerLiteral {
    /// Samples a rank works on at a time, whatever the number of ranks. A plain number means this.
    case perRank(Int)
    /// Samples all ranks together work on at a time: the result does not depend on the number of ranks.
    case global(Int)

    /// Samples per rank.
    public init(integerLiteral value: Int) { self = .perRank(value) }
}

/// Which samples a rank reads, batch by batch.
///
/// Note [Every sample once]: the order of samples is a function of (seed, epoch) alone. It is cut into global batches,
/// and each global batch into one shard per rank, in order. So each sample is read exactly once per epoch on any number
/// of ranks; all ranks count the same number of batches; and in the last, short batch later ranks may have a smaller
/// shard or none. To resume at batch `b` is to begin at `b`.
public struct DistributedSampler: Sendable {
    /// The number of samples.
    public let count: Int
    /// Samples in a rank's shard of a full batch.
    public let shardSize: Int
    /// This rank, and how many there are.
    public let rank: Int
    /// The number of ranks.
    public let worldSize: Int
    private let order: [Int]?
    private let dropsLast: Bool

    /// The sampler of one rank for one epoch.
    ///
    /// - Parameters:
    ///   - count: The number of samples.
    ///   - batchSize: Per rank or for all ranks; a global size must be a multiple of the number of ranks.
    ///   - shuffles: Whether the order is random; otherwise it is that of the data set.
    ///   - seed: Decides the random order, with `epoch`.
    ///   - dropsLast: Leaves out the last batch when it is short.
    /// - Throws: ``DataLoadingError`` when the batch size is not positive or cannot be shared by the ranks.
    public init(
        count: Int, batchSize: BatchSize, shuffles: Bool, seed: UInt64, epoch: Int, rank: Int, worldSize: Int,
        dropsLast: Bool = false
    ) throws {
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
        guard shardSize > 0 else {
            throw DataLoadingError("a batch size of \(shardSize) samples per rank; it must be positive")
        }
        self.count = count
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

    /// The data set indices of this rank's shard of a batch; empty when the batch is too short for this rank.
    public func indices(ofBatch batch: Int) -> [Int] {
        let start = batch * globalBatchSize + rank * shardSize
        let end = min(start + shardSize, count)
        guard start < end else { return [] }
        guard let order else { return Array(start..<end) }
        return Array(order[start..<end])
    }

    /// Samples in a batch over all ranks.
    public func globalCount(ofBatch batch: Int) -> Int {
        max(0, min(globalBatchSize, count - batch * globalBatchSize))
    }
}

/// Data that cannot be read or shared as asked.
public struct DataLoadingError: Error, CustomStringConvertible {
    /// What is wrong and what to do.
    public let description: String
    /// An error with its message.
    public init(_ description: String) { self.description = description }
}
