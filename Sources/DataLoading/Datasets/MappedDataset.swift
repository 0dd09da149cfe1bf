import Tensors

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

extension Dataset {
    /// This data set with its batches changed by a function.
    public func map<B: DataBatch>(_ transform: @escaping @Sendable (Batch) throws -> B) -> MappedDataset<Self, B> {
        MappedDataset(self, transform)
    }
}
