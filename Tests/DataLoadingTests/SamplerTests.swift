import DataLoading
import Testing

/// Every sample once, on any number of ranks, in an order that only seed and epoch decide.
struct SamplerTests {
    private static let counts = [0, 1, 2, 5, 7, 16, 31, 64, 100]
    private static let sizes = [1, 2, 3, 8, 33]
    private static let worlds = [1, 2, 3, 4, 7]

    private func sampler(
        _ count: Int, _ size: BatchSize, shuffles: Bool = true, seed: UInt64 = 1, epoch: Int = 0, rank: Int = 0,
        world: Int = 1, drops: Bool = false
    ) throws -> DistributedSampler {
        try DistributedSampler(
            count: count, batchSize: size, shuffles: shuffles, seed: seed, epoch: epoch, rank: rank, worldSize: world,
            dropsLast: drops)
    }

    @Test(arguments: [false, true], [false, true]) func everySampleOnce(shuffles: Bool, drops: Bool) throws {
        for count in Self.counts {
            for size in Self.sizes {
                for world in Self.worlds {
                    let ranks = try (0..<world).map {
                        try sampler(count, .perRank(size), shuffles: shuffles, rank: $0, world: world, drops: drops)
                    }
                    let whole = size * world
                    let batches = drops ? count / whole : (count + whole - 1) / whole
                    #expect(ranks.allSatisfy { $0.batchCount == batches && $0.globalBatchSize == whole })
                    var seen: [Int] = []
                    for batch in 0..<batches {
                        let shards = ranks.map { $0.indices(ofBatch: batch) }
                        #expect(shards.allSatisfy { $0.count <= size })
                        let together = shards.reduce(0) { $0 + $1.count }
                        #expect(ranks.allSatisfy { $0.globalCount(ofBatch: batch) == together })
                        // Only the last batch may be short, and then all ranks have nearly the same share of it.
                        if batch < batches - 1 { #expect(together == whole) }
                        let sizes = shards.map(\.count)
                        #expect(sizes == sizes.sorted(by: >) && sizes[0] - sizes[world - 1] <= 1)
                        seen += shards.joined()
                    }
                    #expect(seen.count == (drops ? batches * whole : count))
                    #expect(Set(seen).count == seen.count && seen.allSatisfy { $0 >= 0 && $0 < count })
                    if !shuffles { #expect(seen == Array(0..<seen.count)) }
                    // Behind the end there is nothing.
                    #expect(ranks.allSatisfy { $0.indices(ofBatch: batches).isEmpty })
                    #expect(ranks.allSatisfy { $0.globalCount(ofBatch: batches) == 0 })
                }
            }
        }
    }

    /// A global batch has the same samples in the same order whoever shares it.
    @Test func globalBatchesDoNotDependOnTheWorld() throws {
        for count in Self.counts {
            let alone = try sampler(count, .global(12))
            for world in [2, 3, 4, 6, 12] {
                let ranks = try (0..<world).map { try sampler(count, .global(12), rank: $0, world: world) }
                #expect(ranks.allSatisfy { $0.batchCount == alone.batchCount && $0.shardSize == 12 / world })
                for batch in 0..<alone.batchCount {
                    #expect(Array(ranks.map { $0.indices(ofBatch: batch) }.joined()) == alone.indices(ofBatch: batch))
                }
            }
        }
    }

    /// 1,257 digits in batches of 64: 41 samples are left for the last.
    @Test func aShortBatchIsSharedEvenly() throws {
        func sizes(_ count: Int) throws -> [Int] {
            try (0..<4).map { rank in
                let sampler = try sampler(count, .global(64), rank: rank, world: 4)
                return sampler.indices(ofBatch: sampler.batchCount - 1).count
            }
        }
        #expect(try sizes(1257) == [11, 10, 10, 10])
        #expect(try sizes(1280) == [16, 16, 16, 16])
        #expect(try sizes(1219) == [1, 1, 1, 0])
    }

    private func order(_ seed: UInt64, _ epoch: Int, _ size: Int = 5) throws -> [Int] {
        let sampler = try sampler(50, .perRank(size), seed: seed, epoch: epoch)
        return (0..<sampler.batchCount).flatMap { sampler.indices(ofBatch: $0) }
    }

    @Test func orderIsAFunctionOfSeedAndEpoch() throws {
        let first = try order(1, 0)
        #expect(try order(1, 0) == first)
        #expect(try order(1, 0, 13) == first)
        var orders = [first, Array(0..<50)]
        for (seed, epoch) in [(1, 1), (1, 2), (2, 0), (2, 1), (.max, 0), (0, 0)] as [(UInt64, Int)] {
            orders.append(try order(seed, epoch))
        }
        #expect(Set(orders).count == 8)
        // Each sample is at each place equally often: 600 epochs, 10 samples, 60 ± 5 · √54 times.
        var table = [[Int]](repeating: [Int](repeating: 0, count: 10), count: 10)
        for epoch in 0..<600 {
            for (place, sample) in try sampler(10, 10, epoch: epoch).indices(ofBatch: 0).enumerated() {
                table[place][sample] += 1
            }
        }
        #expect(table.joined().allSatisfy { abs(Double($0) - 60) < 5 * 54.0.squareRoot() }, "\(table)")
    }

    private func message(_ size: BatchSize, world: Int = 1) throws -> String {
        try #require(throws: DataLoadingError.self) { try sampler(10, size, world: world) }.description
    }

    @Test func errors() throws {
        #expect(
            try message(.global(10), world: 4)
                == "a global batch of 10 samples cannot be shared evenly by 4 ranks; use a multiple of 4")
        #expect(try message(.global(0), world: 4) == "a batch of 0 samples; it must have at least one")
        #expect(try message(.global(-4), world: 4) == "a batch of -4 samples; it must have at least one")
        #expect(try message(0) == "a batch of 0 samples; it must have at least one")
        #expect(try message(.perRank(-1)) == "a batch of -1 samples; it must have at least one")
    }

    @Test func misuse() async {
        let rank = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = try DistributedSampler(
                count: 1, batchSize: 1, shuffles: true, seed: 0, epoch: 0, rank: 2, worldSize: 2)
        }
        let text = String(decoding: rank?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains("DistributedSampler: 1 samples, epoch 0, rank 2 of 2"), "\(text)")
    }
}
