import Tensors

/// Several data sets of one kind of batch, one after the other.
public struct ConcatDataset<Batch: RowBatch>: Dataset {
    private let sources: [any Dataset<Batch>]
    /// Where each source ends.
    private let ends: [Int]

    /// The samples of all sources, in their order.
    public init(_ sources: [any Dataset<Batch>]) {
        self.sources = sources
        var total = 0
        ends = sources.map { source in
            total += source.count
            return total
        }
    }

    /// The number of samples of all sources.
    public var count: Int { ends.last ?? 0 }
    /// Whether all sources are in memory.
    public var isInMemory: Bool { sources.allSatisfy(\.isInMemory) }

    /// The samples at the given indices: each source is asked once, for all of its samples.
    public func batch(at indices: [Int]) throws -> Batch {
        var wanted = [[Int]](repeating: [], count: sources.count)
        /// For each sample its source, and its place among those asked of it.
        let origins = indices.map { index in
            let source = self.source(of: index)
            wanted[source].append(index - (source == 0 ? 0 : ends[source - 1]))
            return (source: source, place: wanted[source].count - 1)
        }
        var starts = [Int](repeating: 0, count: sources.count)
        var parts: [Batch] = []
        var total = 0
        for source in sources.indices where !wanted[source].isEmpty {
            starts[source] = total
            total += wanted[source].count
            parts.append(try sources[source].batch(at: wanted[source]))
        }
        if parts.count == 1 { return parts[0] }
        return Batch.concatenated(parts).samples(at: origins.map { starts[$0.source] + $0.place })
    }

    /// The first source that ends behind an index.
    private func source(of index: Int) -> Int {
        require(index >= 0 && index < count, "ConcatDataset", "index \(index) is not in 0 ..< \(count)")
        var (low, high) = (0, ends.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if ends[middle] > index { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
