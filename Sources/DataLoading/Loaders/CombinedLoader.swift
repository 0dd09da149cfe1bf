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
