import Tensors

/// How long an epoch of several loaders together is.
public enum CombinationMode: String, Sendable, Codable, CaseIterable {
    /// As long as the shortest loader; what the others have left is not read.
    case minSize
    /// As long as the longest loader; the others begin anew, shuffled anew, as often as need be.
    case maxSizeCycle
    /// As long as the longest loader; the others are missing at its end.
    case maxSize
}

/// A batch of some kind.
struct AnyBatch: DataBatch {
    let batch: any DataBatch
    var sampleCount: Int { batch.sampleCount }
}

extension Dictionary: DataBatch where Key == String, Value: DataBatch {
    /// The samples of all batches together.
    public var sampleCount: Int { values.reduce(0) { $0 + $1.sampleCount } }
    /// All batches converted.
    public func converted(toFloating type: DType) -> [String: Value] { mapValues { $0.converted(toFloating: type) } }
}

extension Array: DataBatch where Element: DataBatch {
    /// The samples of all batches together.
    public var sampleCount: Int { reduce(0) { $0 + $1.sampleCount } }
    /// All batches converted.
    public func converted(toFloating type: DType) -> [Element] { map { $0.converted(toFloating: type) } }
}

extension DataLoader {
    /// Several loaders of any kinds at once; `combine` makes one batch of one of each.
    ///
    /// ```swift
    /// let both = DataLoader(combining: pictures, texts, mode: .minSize) { Pair(picture: $0, text: $1) }
    /// ```
    ///
    /// On many ranks each batch needs a sample of each loader for every rank; a loader whose last batch is too short gets
    /// `dropsLast: true`.
    /// - Parameters:
    ///   - parts: The loaders; each keeps its own order and batch size.
    ///   - mode: `.maxSizeCycle` or `.minSize`; for `.maxSize` see ``init(combiningToLongest:as:)``.
    ///   - combine: Makes a batch; its `sampleCount` is what it weighs.
    public convenience init<each Part: DataBatch>(
        combining parts: repeat DataLoader<each Part>, mode: CombinationMode = .maxSizeCycle,
        as combine: @escaping @Sendable (repeat each Part) throws -> Batch
    ) {
        require(mode != .maxSize, "DataLoader", "with mode maxSize batches may be missing: use combiningToLongest")
        var loaders: [DataLoader<AnyBatch>] = []
        repeat loaders.append((each parts).erased())
        self.init(combining: loaders, mode) { batches in
            var next = 0
            func take<Value: DataBatch>(_ type: Value.Type) throws -> Value {
                defer { next += 1 }
                guard let batch = batches[next]?.batch as? Value else { throw CombinedLoaders.missing(next) }
                return batch
            }
            return try combine(repeat take((each Part).self))
        }
    }

    /// Several loaders of any kinds at once, until the longest ends; `combine` makes one batch of what there is of each.
    public convenience init<each Part: DataBatch>(
        combiningToLongest parts: repeat DataLoader<each Part>,
        as combine: @escaping @Sendable (repeat (each Part)?) throws -> Batch
    ) {
        var loaders: [DataLoader<AnyBatch>] = []
        repeat loaders.append((each parts).erased())
        self.init(combining: loaders, .maxSize) { batches in
            var next = 0
            func take<Value: DataBatch>(_ type: Value.Type) -> Value? {
                defer { next += 1 }
                return batches[next]?.batch as? Value
            }
            return try combine(repeat take((each Part).self))
        }
    }

    /// Several loaders of one kind under names: a batch is a dictionary of batches.
    ///
    /// A name is missing where its loader is at its end (`.maxSize`) or has no sample for this rank.
    public convenience init<Part: DataBatch>(
        combining parts: [String: DataLoader<Part>], mode: CombinationMode = .maxSizeCycle
    ) where Batch == [String: Part] {
        let names = parts.keys.sorted()
        let loaders = names.compactMap { parts[$0]?.erased() }
        self.init(combining: loaders, mode, mayMiss: true) { batches in
            var named: [String: Part] = [:]
            for (name, batch) in zip(names, batches) { named[name] = batch?.batch as? Part }
            return named
        }
    }

    /// Several loaders of one kind: a batch is a list of batches, one of each loader.
    ///
    /// - Parameters:
    ///   - parts: The loaders.
    ///   - mode: `.maxSizeCycle` or `.minSize`; for `.maxSize` give the loaders names.
    public convenience init<Part: DataBatch>(
        combining parts: [DataLoader<Part>], mode: CombinationMode = .maxSizeCycle
    ) where Batch == [Part] {
        require(mode != .maxSize, "DataLoader", "with mode maxSize batches may be missing: give the loaders names")
        self.init(combining: parts.map { $0.erased() }, mode) { batches in
            try batches.enumerated().map { index, batch in
                guard let part = batch?.batch as? Part else { throw CombinedLoaders.missing(index) }
                return part
            }
        }
    }

    /// Loaders of one kind one after the other.
    ///
    /// Training reads them as one loader. Validation, test and prediction take them for several: hooks get the number of
    /// the loader, and what is logged has it in its name.
    public convenience init(sequential parts: [DataLoader<Batch>]) {
        require(!parts.isEmpty, "DataLoader", "a sequence of no loaders")
        let parts = parts.flatMap(\.parts)
        self.init(
            sampleCount: parts.reduce(0) { $0 + $1.sampleCount },
            prefetchCount: parts.map(\.prefetchCount).max() ?? 0, sequence: parts
        ) { request in
            EpochSampler(
                sequential: try parts.enumerated().map { try $1.sampler(request.part($0, cycle: 0)) })
        }
    }

    private convenience init(
        combining parts: [DataLoader<AnyBatch>], _ mode: CombinationMode, mayMiss: Bool = false,
        _ combine: @escaping @Sendable ([AnyBatch?]) throws -> Batch
    ) {
        require(!parts.isEmpty, "DataLoader", "a combination of no loaders")
        self.init(
            sampleCount: parts.reduce(0) { $0 + $1.sampleCount }, prefetchCount: parts.map(\.prefetchCount).max() ?? 0
        ) { request in
            let loaders = try CombinedLoaders(parts, mode, request)
            if !mayMiss, mode != .maxSize { try loaders.checkThatNoneIsMissing(worldSize: request.shard.worldSize) }
            return EpochSampler(loaders, combine)
        }
    }

    private func erased() -> DataLoader<AnyBatch> {
        DataLoader<AnyBatch>(sampleCount: sampleCount, prefetchCount: prefetchCount) { request in
            try self.sampler(request).map { AnyBatch(batch: $0) }
        }
    }
}

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
