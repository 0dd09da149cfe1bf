import Tensors

/// Any number of tensors held in memory, each with a row per sample.
///
/// ```swift
/// let data = ColumnDataset(["tokens": tokens, "mask": mask, "labels": labels])
/// let mine = data.map { MyBatch(tokens: $0["tokens"], mask: $0["mask"], labels: $0["labels"]) }
/// ```
public struct ColumnDataset: Dataset {
    private let whole: ColumnBatch

    /// A data set of named tensors.
    ///
    /// - Precondition: there is at least one, and all have the same first extent.
    public init(_ columns: [String: Tensor]) {
        whole = ColumnBatch(columns.mapValues { $0.detached.contiguous() })
    }

    /// The number of samples.
    public var count: Int { whole.sampleCount }
    /// True.
    public var isInMemory: Bool { true }
    /// Copies of the rows at the given indices.
    public func batch(at indices: [Int]) -> ColumnBatch { whole.samples(at: indices) }
}
