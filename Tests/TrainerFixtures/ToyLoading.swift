import Lightning

/// How the samples of a toy run reach it.
public enum ToyLoading: String, Sendable {
    /// From a data set.
    case plain
    /// In an order of one's own that all ranks share: backwards, from a place that depends on the epoch.
    case sampler
    /// In an order each rank has for itself; for runs with `useDistributedSampler` off.
    case own
    /// The same, but all ranks ask for the same samples.
    case overlapping
    /// In batches of one's own, of 2, 5 and 4 samples by turns.
    case batches
    /// As a stream.
    case stream
    /// With a smaller data set beside it, which begins anew when it ends.
    case cycle
    /// With a smaller data set beside it until that ends.
    case shortest
    /// With a smaller data set beside it as long as there is one.
    case longest
    /// As two loaders, the second with a third of the samples, one after the other.
    case sequence
}

/// The numbers from a place that depends on the epoch, backwards.
struct Backwards: Sampler {
    func indices(_ request: SamplerRequest) -> [Int] {
        (0..<request.count).map { (2 * request.count - 1 - $0 - request.epoch) % request.count }
    }
}

/// Every W-th sample, or all of them.
struct EachItsOwn: Sampler {
    let overlaps: Bool

    func indices(_ request: SamplerRequest) -> [Int] {
        overlaps
            ? Array(0..<request.count)
            : Array(stride(from: request.shard.rank, to: request.count, by: request.shard.worldSize))
    }
}

/// Batches of 2, 5 and 4 samples by turns.
struct UnequalBatches: BatchSampler {
    func batches(_ request: SamplerRequest) -> [[Int]] {
        var batches: [[Int]] = []
        var start = request.epoch % 2
        while start < request.count {
            let end = min(start + [2, 5, 4][batches.count % 3], request.count)
            batches.append(Array(start..<end))
            start = end
        }
        return batches
    }
}

extension NumberedBatch {
    /// The samples of two batches, those of the second under numbers of their own.
    init(_ first: NumberedBatch, _ second: NumberedBatch?) {
        guard let second else {
            self = first
            return
        }
        self.init(
            indices: first.indices + second.indices.map { $0 + 1000 },
            inputs: .concatenate([first.inputs, second.inputs]),
            targets: .concatenate([first.targets, second.targets]))
    }
}

extension ToyLoading {
    /// A loader of so many samples.
    func loader(of data: NumberedDataset, batch: BatchSize, prefetches: Bool) -> DataLoader<NumberedBatch> {
        let small = NumberedDataset(count: data.count / 3, isInMemory: data.isInMemory)
        func plain(_ data: NumberedDataset) -> DataLoader<NumberedBatch> { DataLoader(data, batchSize: batch) }
        switch self {
        case .plain: return plain(data)
        case .sampler: return DataLoader(data, batchSize: batch, sampler: Backwards())
        case .own: return DataLoader(data, batchSize: batch, sampler: EachItsOwn(overlaps: false))
        case .overlapping: return DataLoader(data, batchSize: batch, sampler: EachItsOwn(overlaps: true))
        case .batches: return DataLoader(data, batchSampler: UnequalBatches())
        case .stream:
            let stream = SampleStream<Int, NumberedBatch> { request in
                // Another order in each epoch.
                var next = 0
                return {
                    guard next < data.count else { return nil }
                    defer { next += 1 }
                    return (next + request.epoch) % data.count
                }
            } collate: {
                try data.batch(at: $0)
            }
            return DataLoader(stream: stream, batchSize: batch, prefetchCount: prefetches ? 2 : 0)
        case .cycle:
            return DataLoader(combining: plain(data), plain(small)) { NumberedBatch($0, $1) }
        case .shortest:
            return DataLoader(combining: plain(data), plain(small), mode: .minSize) { NumberedBatch($0, $1) }
        case .longest:
            return DataLoader(combiningToLongest: plain(data), plain(small)) { first, second in
                guard let first else { throw OnPurpose("the longer loader has no batch") }
                return NumberedBatch(first, second)
            }
        case .sequence: return DataLoader(sequential: [plain(data), plain(small)])
        }
    }
}
