import Tensors

/// Which samples a rank reads, batch by batch.
///
/// Note [Every sample once]: the order of samples is a function of (seed, epoch) alone. It is cut into global batches,
/// and each global batch into one shard per rank, in order. So each sample is read exactly once per epoch on any number
/// of ranks, and all ranks count the same number of batches. The last, short batch is shared evenly too, so that no rank
/// waits for another that has all the work: shards differ by at most one sample, the earlier ones being the larger, and
/// a rank has none only when there are fewer samples than ranks. To resume at batch `b` is to begin at `b`.
public struct DistributedSampler: Sendable {
    /// Where the samples of a batch come from.
    private enum Order: Sendable {
        /// The data set's order, cut evenly.
        case dataset
        /// An order of all ranks together, cut evenly.
        case listed([Int])
        /// Batches of all ranks together.
        case batches([[Int]])
        /// This rank's own batches, and the sizes of those of all ranks together.
        case own([[Int]], sizes: [Int])
    }

    /// Samples of an epoch, of all ranks together.
    public let count: Int
    /// Samples in a rank's shard of a full batch; of batches of different sizes, of the largest.
    public let shardSize: Int
    /// This rank, and how many there are.
    public let rank: Int
    /// The number of ranks.
    public let worldSize: Int
    private let epochSeed: UInt64
    private let order: Order
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
        shardSize = try batchSize.shardSize(worldSize: worldSize)
        self.count = count
        epochSeed = Self.seed(seed, epoch, 0)
        self.rank = rank
        self.worldSize = worldSize
        self.dropsLast = dropsLast
        order = shuffles ? .listed(SamplerRequest(count: count, epoch: epoch, seed: seed).permutation) : .dataset
    }

    /// An order of all ranks together, which may leave samples out or repeat them.
    init(order: [Int], shardSize: Int, seed: UInt64, epoch: Int, shard: Shard, dropsLast: Bool) {
        (count, self.shardSize, self.dropsLast) = (order.count, shardSize, dropsLast)
        epochSeed = Self.seed(seed, epoch, 0)
        (rank, worldSize) = (shard.rank, shard.worldSize)
        self.order = .listed(order)
    }

    /// Batches of all ranks together.
    init(batches: [[Int]], seed: UInt64, epoch: Int, shard: Shard) {
        count = batches.reduce(0) { $0 + $1.count }
        shardSize = ((batches.map(\.count).max() ?? 0) + shard.worldSize - 1) / shard.worldSize
        epochSeed = Self.seed(seed, epoch, 0)
        (rank, worldSize, dropsLast) = (shard.rank, shard.worldSize, false)
        order = .batches(batches)
    }

    /// Batches each rank has for itself: those of all ranks, of which this one's are read.
    init(own all: [[[Int]]], seed: UInt64, epoch: Int, shard: Shard) {
        var sizes: [Int] = []
        for batches in all {
            for (index, batch) in batches.enumerated() {
                if index == sizes.count { sizes.append(0) }
                sizes[index] += batch.count
            }
        }
        count = sizes.reduce(0, +)
        shardSize = all.joined().map(\.count).max() ?? 0
        epochSeed = Self.seed(seed, epoch, 0)
        (rank, worldSize, dropsLast) = (shard.rank, shard.worldSize, false)
        order = .own(all[shard.rank], sizes: sizes)
    }

    /// Samples in a full batch over all ranks.
    public var globalBatchSize: Int {
        switch order {
        case .dataset, .listed: shardSize * worldSize
        case .batches(let batches): batches.map(\.count).max() ?? 0
        case .own(_, let sizes): sizes.max() ?? 0
        }
    }

    /// The number of batches, the same on all ranks.
    public var batchCount: Int {
        switch order {
        case .dataset, .listed:
            dropsLast ? count / globalBatchSize : (count + globalBatchSize - 1) / globalBatchSize
        case .batches(let batches): batches.count
        case .own(_, let sizes): sizes.count
        }
    }

    /// The data set indices of this rank's shard of a batch; empty when the batch has too few samples for all ranks.
    public func indices(ofBatch batch: Int) -> [Int] {
        require(batch >= 0, "DistributedSampler", "batch \(batch)")
        if case .own(let batches, _) = order { return batch < batches.count ? batches[batch] : [] }
        let (share, rest) = globalCount(ofBatch: batch).quotientAndRemainder(dividingBy: worldSize)
        // The first `rest` ranks take one sample more.
        let begin = rank * share + min(rank, rest)
        let range = begin..<(begin + share + (rank < rest ? 1 : 0))
        guard !range.isEmpty else { return [] }
        let start = batch * globalBatchSize
        switch order {
        case .listed(let order): return Array(order[(start + range.lowerBound)..<(start + range.upperBound)])
        case .batches(let batches): return Array(batches[batch][range])
        default: return Array((start + range.lowerBound)..<(start + range.upperBound))
        }
    }

    /// Samples in a batch over all ranks; 0 behind the last batch.
    public func globalCount(ofBatch batch: Int) -> Int {
        guard batch < batchCount else { return 0 }
        switch order {
        case .dataset, .listed: return min(globalBatchSize, count - batch * globalBatchSize)
        case .batches(let batches): return batches[batch].count
        case .own(_, let sizes): return sizes[batch]
        }
    }

    /// The random numbers of whoever reads a batch, such as an augmentation.
    func randomContext(ofBatch batch: Int) -> RandomContext {
        // A stream's names are (seed, step, shard), and the epoch is a fourth: one seed per epoch, then one per batch.
        RandomContext(seed: Self.seed(epochSeed, batch, rank))
    }

    static func seed(_ seed: UInt64, _ step: Int, _ shard: Int) -> UInt64 {
        var stream = RandomStream(seed: seed, purpose: .augmentation, step: UInt64(step), shard: UInt64(shard))
        return stream.doubleWord()
    }
}

extension SamplerRequest {
    /// All samples in random order.
    var permutation: [Int] {
        var stream = stream
        return stream.permutation(count)
    }
}
