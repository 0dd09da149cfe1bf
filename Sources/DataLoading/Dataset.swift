import Tensors

/// A finite collection of samples that can be read in any order.
public protocol Dataset<Batch>: Sendable {
    /// What several samples put together look like.
    associatedtype Batch: DataBatch
    /// The number of samples.
    var count: Int { get }
    /// Whether reading is a matter of memory copies; if not, loaders read ahead on a thread of their own.
    var isInMemory: Bool { get }
    /// The samples at the given indices, in that order, as one batch.
    ///
    /// One loader calls it from one thread at a time, which may not be the training thread. Random numbers come from the
    /// ``RandomContext``, which is bound so that they are the same in every run.
    func batch(at indices: [Int]) throws -> Batch
}

/// Inputs and labels held in memory.
public struct TensorDataset: Dataset {
    /// `[count, …]`, in any element type.
    public let inputs: Tensor
    /// `[count, …]`.
    public let labels: Tensor

    /// A data set of inputs with labels.
    ///
    /// - Precondition: both have the same first extent.
    public init(inputs: Tensor, labels: Tensor) {
        require(
            inputs.rank > 0 && labels.rank > 0 && inputs.shape[0] == labels.shape[0], "TensorDataset",
            "inputs \(inputs.shape) with labels \(labels.shape); one label per input is needed")
        self.inputs = inputs.detached.contiguous()
        self.labels = labels.detached.contiguous()
    }

    /// The number of samples.
    public var count: Int { inputs.shape[0] }
    /// True.
    public var isInMemory: Bool { true }

    /// Copies of the rows at the given indices.
    public func batch(at indices: [Int]) -> LabeledBatch {
        LabeledBatch(inputs: inputs.rows(at: indices), labels: labels.rows(at: indices))
    }
}

/// A data set whose batches pass through a function, such as scaling bytes to numbers.
public struct MappedDataset<Source: Dataset, Batch: DataBatch>: Dataset {
    private let source: Source
    private let transform: @Sendable (Source.Batch) throws -> Batch

    fileprivate init(_ source: Source, _ transform: @escaping @Sendable (Source.Batch) throws -> Batch) {
        self.source = source
        self.transform = transform
    }

    /// The number of samples of the source.
    public var count: Int { source.count }
    /// Whether the source is in memory.
    public var isInMemory: Bool { source.isInMemory }
    /// The transformed batch.
    public func batch(at indices: [Int]) throws -> Batch { try transform(source.batch(at: indices)) }
}

/// Some samples of another data set, such as the training part of it.
public struct Subset<Source: Dataset>: Dataset {
    private let source: Source
    private let indices: [Int]

    /// The samples of `source` at the given indices, in that order.
    public init(_ source: Source, indices: [Int]) {
        let outside = indices.first { $0 < 0 || $0 >= source.count }
        require(outside == nil, "Subset", "index \(outside ?? 0) is not in 0 ..< \(source.count)")
        self.source = source
        self.indices = indices
    }

    /// The number of samples chosen.
    public var count: Int { indices.count }
    /// Whether the source is in memory.
    public var isInMemory: Bool { source.isInMemory }
    /// The samples at positions of the subset.
    public func batch(at positions: [Int]) throws -> Source.Batch {
        try source.batch(at: positions.map { indices[$0] })
    }
}

extension Dataset {
    /// This data set with its batches changed by a function.
    public func map<B: DataBatch>(_ transform: @escaping @Sendable (Batch) throws -> B) -> MappedDataset<Self, B> {
        MappedDataset(self, transform)
    }

    /// Cuts the data set at random into parts of the given sizes, in the order of the seed alone.
    ///
    /// - Precondition: the sizes add up to the number of samples.
    public func randomSplit(_ sizes: [Int], seed: UInt64) -> [Subset<Self>] {
        require(
            sizes.allSatisfy { $0 >= 0 } && sizes.reduce(0, +) == count, "randomSplit",
            "parts of \(sizes) samples of a data set of \(count)")
        var stream = RandomStream(seed: seed, purpose: .sampling, step: 0, shard: 0x5917)
        let order = stream.permutation(count)
        var start = 0
        return sizes.map { size in
            defer { start += size }
            return Subset(self, indices: Array(order[start..<(start + size)]))
        }
    }
}

/// Windows of a long sequence of token ids: inputs and the tokens that follow them.
public struct TokenWindowDataset: Dataset {
    private let tokens: Tensor
    private let context: Int

    /// Windows of `context` tokens side by side over `tokens` (`[length]`, `uint8` or `int64`).
    ///
    /// - Precondition: there are at least `context + 1` tokens.
    public init(_ tokens: Tensor, context: Int) {
        require(
            tokens.rank == 1 && !tokens.dtype.isFloatingPoint && context > 0 && tokens.elementCount > context,
            "TokenWindowDataset", "tokens \(tokens.dtype) \(tokens.shape) for windows of \(context)")
        self.tokens = tokens.detached.contiguous()
        self.context = context
    }

    /// The number of whole windows.
    public var count: Int { (tokens.elementCount - 1) / context }
    /// True.
    public var isInMemory: Bool { true }

    /// `[windows, context]` of inputs and of the tokens one further, as `int64`.
    public func batch(at indices: [Int]) -> LabeledBatch {
        let parts = { (shift: Int) in
            Tensor.stack(indices.map { tokens.slice(($0 * context + shift)..<(($0 + 1) * context + shift)) })
                .converted(to: .int64)
        }
        return LabeledBatch(inputs: parts(0), labels: parts(1))
    }
}
