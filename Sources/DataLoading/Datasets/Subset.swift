import Tensors

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

    /// Cuts the data set at random into parts of the given shares, such as `[0.8, 0.1, 0.1]`; samples left over by rounding
    /// down go one each to the first parts.
    ///
    /// - Precondition: the shares are not negative and add up to 1.
    public func randomSplit(_ shares: [Double], seed: UInt64) -> [Subset<Self>] {
        require(
            shares.allSatisfy { $0 >= 0 } && abs(shares.reduce(0, +) - 1) < 1e-9, "randomSplit",
            "shares of \(shares), which do not add up to 1")
        // A product that falls short of a whole number by rounding alone counts as that number.
        var sizes = shares.map { Int(Double(count) * $0 + 1e-9) }
        let rest = count - sizes.reduce(0, +)
        for part in 0..<rest { sizes[part % sizes.count] += 1 }
        return randomSplit(sizes, seed: seed)
    }
}
