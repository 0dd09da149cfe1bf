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

    /// Samples in a rank's shard of a full batch.
    ///
    /// - Throws: ``DataLoadingError`` when the size is not positive or cannot be shared by the ranks.
    func shardSize(worldSize: Int) throws -> Int {
        if size <= 0 { throw DataLoadingError("a batch of \(size) samples; it must have at least one") }
        switch self {
        case .perRank(let size): return size
        case .global(let size):
            guard size % worldSize == 0 else {
                throw DataLoadingError(
                    "a global batch of \(size) samples cannot be shared evenly by \(worldSize) ranks; use a multiple of \(worldSize)"
                )
            }
            return size / worldSize
        }
    }
}

/// For which epoch a sampler is asked, and for whom.
public struct SamplerRequest: Sendable, Hashable {
    /// The number of samples in the data set.
    public var count: Int
    /// The number of the epoch, from 0.
    public var epoch: Int
    /// The seed of the run: with the epoch it decides everything random.
    public var seed: UInt64
    /// Whose samples: the only rank there is, unless `useDistributedSampler` is off.
    public var shard: Shard

    /// A request.
    public init(count: Int, epoch: Int, seed: UInt64, shard: Shard = Shard()) {
        (self.count, self.epoch, self.seed, self.shard) = (count, epoch, seed, shard)
    }

    /// Random numbers for an order of samples.
    public var stream: RandomStream { RandomStream(seed: seed, purpose: .sampling, step: UInt64(epoch)) }
}

/// An order of samples of one's own.
///
/// The loader cuts the order into batches and each batch into one part per rank, without padding and without repeats: a
/// sampler says the order of all ranks together, and must say the same on every rank. With `useDistributedSampler` off it
/// is asked for the samples of the rank in `request.shard` instead.
public protocol Sampler: Sendable {
    /// Indices of samples in the order in which an epoch reads them.
    func indices(_ request: SamplerRequest) throws -> [Int]
}

/// Batches of one's own.
///
/// Each batch is cut into one part per rank. With `useDistributedSampler` off the batches are those of the rank in
/// `request.shard`.
public protocol BatchSampler: Sendable {
    /// Indices of the samples of each batch of an epoch; no batch is empty.
    func batches(_ request: SamplerRequest) throws -> [[Int]]
}

/// Samples drawn with probabilities that follow weights, each as often as it is drawn.
public struct WeightedSampler: Sampler {
    private let sums: [Double]
    private let count: Int

    /// Draws `count` samples an epoch, sample `i` with a probability in proportion to `weights[i]`.
    ///
    /// - Precondition: weights are not negative, and one is positive.
    public init(weights: [Double], count: Int) {
        var sum = 0.0
        sums = weights.map { weight in
            sum += weight
            return sum
        }
        require(
            weights.allSatisfy { $0 >= 0 } && sum > 0 && sum.isFinite && count >= 0, "WeightedSampler",
            "\(count) samples by weights that add up to \(sum); weights are not negative, and one is positive")
        self.count = count
    }

    /// Samples as they are drawn.
    public func indices(_ request: SamplerRequest) throws -> [Int] {
        guard sums.count == request.count else {
            throw DataLoadingError("WeightedSampler has \(sums.count) weights for \(request.count) samples")
        }
        var stream = request.stream
        return (0..<count).map { _ in
            let wanted = Double(stream.doubleWord() >> 11) * 0x1p-53 * (sums.last ?? 0)
            var (low, high) = (0, sums.count - 1)
            while low < high {
                let middle = (low + high) / 2
                if sums[middle] > wanted { high = middle } else { low = middle + 1 }
            }
            return low
        }
    }
}

/// A random order for data that is read in blocks: blocks in random order, and within several blocks at a time all
/// samples in random order.
///
/// An ``HDF5ColumnDataset`` whose cache holds twice as many blocks, those that a batch on the border needs too, reads each
/// block once an epoch.
public struct BlockShuffle: Sampler {
    private let blockLength: Int
    private let blocksAtATime: Int

    /// Mixes the samples of `blocksAtATime` blocks of `blockLength` samples.
    public init(blockLength: Int, blocksAtATime: Int = 16) {
        require(
            blockLength > 0 && blocksAtATime > 0, "BlockShuffle",
            "\(blocksAtATime) blocks of \(blockLength) samples; both must be at least 1")
        self.blockLength = blockLength
        self.blocksAtATime = blocksAtATime
    }

    /// Every sample once.
    public func indices(_ request: SamplerRequest) -> [Int] {
        var stream = request.stream
        let blocks = stream.permutation((request.count + blockLength - 1) / blockLength)
        var order: [Int] = []
        order.reserveCapacity(request.count)
        for start in stride(from: 0, to: blocks.count, by: blocksAtATime) {
            let window = blocks[start..<min(start + blocksAtATime, blocks.count)].flatMap { block in
                (block * blockLength)..<min((block + 1) * blockLength, request.count)
            }
            order += stream.permutation(window.count).map { window[$0] }
        }
        return order
    }
}

/// Data that cannot be read or shared as asked.
public struct DataLoadingError: Error, CustomStringConvertible {
    /// What is wrong and what to do.
    public let description: String
    /// An error with its message.
    public init(_ description: String) { self.description = description }
}
