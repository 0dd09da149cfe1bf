import Tensors

extension EpochRequest {
    /// What one of several loaders is asked for: the first one's first pass is as if it were alone.
    func part(_ number: Int, cycle: Int) -> EpochRequest {
        guard number > 0 || cycle > 0 else { return self }
        var part = self
        var stream = RandomStream(
            seed: seed, purpose: .sampling, step: UInt64(cycle), shard: UInt64(number) + 0xC0B1)
        part.seed = stream.doubleWord()
        return part
    }
}

/// The parts of a combined loader in one epoch.
///
/// Which batch of which pass of a part belongs to a batch follows from its number alone, so that an epoch can be resumed
/// in its middle.
struct CombinedLoaders: Sendable {
    /// For each part its passes, of which all but `.maxSizeCycle` need one.
    private let passes: [[EpochSampler<AnyBatch>]]
    let batchCount: Int

    init(_ parts: [DataLoader<AnyBatch>], _ mode: CombinationMode, _ request: EpochRequest) throws {
        let first = try parts.enumerated().map { try $1.sampler(request.part($0, cycle: 0)) }
        let counts = first.map(\.batchCount)
        batchCount = (mode == .minSize ? counts.min() : counts.max()) ?? 0
        guard mode == .minSize || !first.contains(where: \.isStream) else {
            throw DataLoadingError(
                "a stream is combined with other loaders in mode \(mode.rawValue), and nobody knows where it ends; use minSize"
            )
        }
        let total = batchCount
        passes = try first.enumerated().map { number, sampler in
            guard mode == .maxSizeCycle, sampler.batchCount > 0 else { return [sampler] }
            let more = (total + sampler.batchCount - 1) / sampler.batchCount
            return [sampler]
                + (try (1..<max(1, more)).map { try parts[number].sampler(request.part(number, cycle: $0)) })
        }
        if mode == .maxSizeCycle, total > 0, let empty = counts.firstIndex(of: 0) {
            throw DataLoadingError("loader \(empty) of those combined has no batch, and cannot begin anew")
        }
    }

    /// A full batch of every part.
    var globalBatchSize: Int { passes.reduce(0) { $0 + ($1.first?.globalBatchSize ?? 0) } }
    /// The samples of all parts, each once.
    var count: Int { passes.reduce(0) { $0 + ($1.first?.count ?? 0) } }
    var isStream: Bool { batchCount == .max }

    /// The pass of a part that a batch lies in, and its number there; nil behind the last.
    private func place(_ part: Int, _ batch: Int) -> (pass: Int, batch: Int)? {
        var rest = batch
        for (number, pass) in passes[part].enumerated() {
            if rest < pass.batchCount { return (number, rest) }
            rest -= pass.batchCount
        }
        return nil
    }

    func globalCount(ofBatch batch: Int) -> Int {
        guard batch < batchCount else { return 0 }
        return passes.indices.reduce(0) { sum, part in
            sum + (place(part, batch).map { passes[part][$0.pass].globalCount(ofBatch: $0.batch) } ?? 0)
        }
    }

    /// Reads a batch of each part, from one on.
    func reader(from first: Int) -> @Sendable (Int) throws -> [IndexedBatch<AnyBatch>?]? {
        // A reader for each pass, begun where the first batch lies, or at the pass's beginning.
        let readers = passes.indices.map { part in
            let begin = place(part, first)
            return passes[part].enumerated().map { number, pass in
                pass.reader(number == begin?.pass ? begin?.batch ?? 0 : 0)
            }
        }
        return { batch in
            var all: [IndexedBatch<AnyBatch>?] = []
            for part in passes.indices {
                guard let place = place(part, batch) else {
                    all.append(nil)
                    continue
                }
                let read = try readers[part][place.pass](place.batch)
                if read == nil, isStream { return nil }
                all.append(read)
            }
            return all
        }
    }

    /// Every rank must have a sample of each part in every batch.
    func checkThatNoneIsMissing(worldSize: Int) throws {
        guard worldSize > 1, !isStream else { return }
        for (number, samplers) in passes.enumerated() {
            for sampler in samplers where !sampler.isStream {
                // Only the last batch of a loader may be short, unless batches are somebody's own.
                for batch in 0..<min(sampler.batchCount, batchCount)
                where sampler.globalCount(ofBatch: batch) < worldSize {
                    throw DataLoadingError(
                        "batch \(batch) of loader \(number) of those combined has \(sampler.globalCount(ofBatch: batch)) samples for \(worldSize) ranks, and each needs one; give that loader dropsLast: true, or batches of another size"
                    )
                }
            }
        }
    }

    static func missing(_ part: Int) -> DataLoadingError {
        DataLoadingError("loader \(part) of those combined has no sample for this rank in a batch of the others")
    }
}

extension EpochSampler {
    init(_ loaders: CombinedLoaders, _ combine: @escaping @Sendable ([AnyBatch?]) throws -> Batch) {
        self.init(
            batchCount: loaders.batchCount, globalBatchSize: loaders.globalBatchSize, count: loaders.count,
            counts: { loaders.globalCount(ofBatch: $0) },
            reader: { first in
                let read = loaders.reader(from: first)
                return { index in
                    guard let parts = try read(index) else { return nil }
                    let batches = parts.map { $0?.batch }
                    let count = parts.reduce(0) { $0 + ($1?.sampleCount ?? 0) }
                    return IndexedBatch(
                        index: index, sampleIndices: [], sampleCount: count,
                        batch: count == 0 ? nil : try combine(batches))
                }
            })
    }

    /// Loaders one after the other.
    init(sequential parts: [EpochSampler<Batch>]) {
        let isStream = parts.contains(where: \.isStream)
        var ends: [Int] = []
        for part in parts { ends.append((ends.last ?? 0).addingReportingOverflow(part.batchCount).partialValue) }
        let starts = isStream ? [] : [0] + ends
        let place: @Sendable (Int) -> (part: Int, batch: Int)? = { batch in
            parts.indices.first { batch < starts[$0 + 1] }.map { ($0, batch - starts[$0]) }
        }
        self.init(
            batchCount: isStream ? .max : ends.last ?? 0, globalBatchSize: parts.map(\.globalBatchSize).max() ?? 0,
            count: parts.reduce(0) { $0 + $1.count },
            counts: { batch in
                isStream ? 0 : place(batch).map { parts[$0.part].globalCount(ofBatch: $0.batch) } ?? 0
            },
            reader: { first in
                guard !isStream else {
                    return { _ in
                        throw DataLoadingError("streams are read one after the other in an evaluation only")
                    }
                }
                let begin = place(first)
                let readers = parts.indices.map { parts[$0].reader($0 == begin?.part ? begin?.batch ?? 0 : 0) }
                return { index in
                    guard let place = place(index) else { return nil }
                    guard let read = try readers[place.part](place.batch) else { return nil }
                    return IndexedBatch(
                        index: index, sampleIndices: read.sampleIndices, sampleCount: read.sampleCount,
                        batch: read.batch)
                }
            })
    }
}
