import Tensors

/// A batch whose samples can be taken apart and put together: what data sets made of several others need.
public protocol RowBatch: DataBatch {
    /// The samples of several batches, one after the other.
    static func concatenated(_ parts: [Self]) -> Self
    /// The samples at the given places, in that order.
    func samples(at places: [Int]) -> Self
}

extension Tensor: RowBatch {
    /// The rows of several tensors.
    public static func concatenated(_ parts: [Tensor]) -> Tensor { concatenate(parts) }
    /// The rows at the given places.
    public func samples(at places: [Int]) -> Tensor { rows(at: places) }
}

extension LabeledBatch: RowBatch {
    /// Inputs and labels of several batches.
    public static func concatenated(_ parts: [LabeledBatch]) -> LabeledBatch {
        LabeledBatch(
            inputs: .concatenate(parts.map(\.inputs)), labels: .concatenate(parts.map(\.labels)))
    }

    /// Inputs and labels at the given places.
    public func samples(at places: [Int]) -> LabeledBatch {
        LabeledBatch(inputs: inputs.rows(at: places), labels: labels.rows(at: places))
    }
}

/// Tensors under names, with a row for each sample in every one.
public struct ColumnBatch: RowBatch {
    /// The tensors.
    public let columns: [String: Tensor]
    /// The number of rows.
    public let sampleCount: Int

    /// A batch of named tensors.
    ///
    /// - Precondition: there is at least one, and all have the same first extent.
    public init(_ columns: [String: Tensor]) {
        let counts = Set(columns.values.map { $0.rank > 0 ? $0.shape[0] : -1 })
        require(
            counts.count == 1 && counts != [-1], "ColumnBatch",
            "columns \(columns.map { "'\($0)' \($1.shape)" }.sorted().joined(separator: ", ")); all need the same first extent"
        )
        self.columns = columns
        sampleCount = counts.first ?? 0
    }

    /// The tensor of a name.
    ///
    /// - Precondition: there is one.
    public subscript(name: String) -> Tensor {
        guard let column = columns[name] else {
            fail(
                "ColumnBatch",
                "there is no column '\(name)'; there are: \(columns.keys.sorted().joined(separator: ", "))")
        }
        return column
    }

    /// Columns of floating-point numbers converted, the others as they are.
    public func converted(toFloating type: DType) -> ColumnBatch {
        ColumnBatch(columns.mapValues { $0.converted(toFloating: type) })
    }

    /// The rows of several batches of the same names.
    public static func concatenated(_ parts: [ColumnBatch]) -> ColumnBatch {
        ColumnBatch(
            Dictionary(
                uniqueKeysWithValues: (parts.first?.columns.keys).map(Array.init)?.map { name in
                    (name, Tensor.concatenate(parts.map { $0[name] }))
                } ?? []))
    }

    /// The rows at the given places of every column.
    public func samples(at places: [Int]) -> ColumnBatch { ColumnBatch(columns.mapValues { $0.rows(at: places) }) }
}

extension Dataset where Batch == ColumnBatch {
    /// This data set with one column as inputs and one as labels.
    public func labeled(inputs: String, labels: String) -> MappedDataset<Self, LabeledBatch> {
        map { LabeledBatch(inputs: $0[inputs], labels: $0[labels]) }
    }
}
