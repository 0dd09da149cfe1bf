import DataLoading
import Foundation
import Synchronization
import Tensors
import Testing

/// The numbers of samples as batches.
struct Numbered: Dataset {
    let count: Int
    var isInMemory: Bool { true }
    func batch(at indices: [Int]) -> Tensor { Tensor(indices.map { Int64($0) }) }
}

/// An order that is a function of the epoch.
private struct ByEpoch: Sampler {
    let order: @Sendable (SamplerRequest) -> [Int]
    func indices(_ request: SamplerRequest) -> [Int] { order(request) }
}

private struct GivenBatches: BatchSampler {
    let given: [[Int]]
    func batches(_ request: SamplerRequest) -> [[Int]] { given }
}

/// Orders and batches of users, over ranks and outside of a trainer.
struct OwnOrderTests {
    /// The batches of a rank, by number.
    private func read(
        _ loader: DataLoader<Tensor>, _ shard: Shard = Shard(), epoch: Int = 0, from first: Int = 0,
        exchange: (([[Int]]) throws -> [[[Int]]])? = nil
    ) throws -> [[Double]] {
        let sampler = try loader.sampler(
            shuffledByDefault: true, seed: 5, epoch: epoch, shard: shard, exchange: exchange)
        let batches = loader.batches(of: sampler, from: first)
        var read: [[Double]] = []
        while let next = try batches.next() {
            #expect(next.index == first + read.count)
            #expect(next.sampleCount == next.batch?.sampleCount ?? 0)
            read.append(next.batch?.doubles ?? [])
        }
        return read
    }

    /// Each global batch is a piece of the order, shared evenly: with leaving out and repeats as the order has them.
    @Test(arguments: [1, 2, 3, 4]) func anOrderIsShared(ranks: Int) throws {
        let order = [9, 3, 3, 0, 7, 1, 8, 2, 5, 10, 4]
        let loader = DataLoader(
            Numbered(count: 12), batchSize: .perRank(2),
            sampler: ByEpoch { request in
                #expect(request.shard == Shard() && request.count == 12)
                return order.map { ($0 + request.epoch) % 12 }
            })
        for epoch in 0..<2 {
            let all = try (0..<ranks).map { try read(loader, Shard(rank: $0, worldSize: ranks), epoch: epoch) }
            #expect(Set(all.map(\.count)) == [(order.count + 2 * ranks - 1) / (2 * ranks)])
            for batch in all[0].indices {
                let whole = all.flatMap { $0[batch] }
                let wanted = order.dropFirst(batch * 2 * ranks).prefix(2 * ranks).map { Double(($0 + epoch) % 12) }
                #expect(whole == wanted)
                let sizes = all.map { $0[batch].count }
                #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
            }
        }
        let dropping = DataLoader(
            Numbered(count: 12), batchSize: .perRank(2), sampler: ByEpoch { _ in order }, dropsLast: true)
        #expect(try read(dropping, Shard(rank: 0, worldSize: ranks)).count == order.count / (2 * ranks))
    }

    @Test(arguments: [1, 2, 3]) func batchesAreShared(ranks: Int) throws {
        let batches = [[4, 1], [0, 2, 3, 5, 9], [7], [6, 8, 4]]
        let loader = DataLoader(Numbered(count: 10), batchSampler: GivenBatches(given: batches))
        let all = try (0..<ranks).map { try read(loader, Shard(rank: $0, worldSize: ranks)) }
        for batch in batches.indices { #expect(all.flatMap { $0[batch] } == batches[batch].map(Double.init)) }
        let sampler = try loader.sampler(shuffledByDefault: true, seed: 0, epoch: 0, shard: Shard())
        #expect((0..<5).map { sampler.globalCount(ofBatch: $0) } == [2, 5, 1, 3, 0])
        #expect(sampler.globalBatchSize == 5 && sampler.batchCount == 4 && sampler.count == 11)
        // To go on at a batch is to leave out those before it.
        #expect(try read(loader, from: 2) == [[7], [6, 8, 4]])
    }

    /// Without sharing, a sampler says what its rank reads; ranks may have different numbers of batches.
    @Test func ranksWithOrdersOfTheirOwn() throws {
        let orders = [[5, 1, 9], [0], [2, 3, 4, 6, 8]]
        let loader = DataLoader(
            Numbered(count: 10), batchSize: 2, sampler: ByEpoch { orders[$0.shard.rank] })
        let all = [[[5, 1], [9]], [[0]], [[2, 3], [4, 6], [8]]]
        for rank in 0..<3 {
            let shard = Shard(rank: rank, worldSize: 3)
            var told: [[Int]] = []
            let batches = try read(loader, shard) {
                told = $0
                return all
            }
            #expect(told == all[rank])
            #expect(batches == (0..<3).map { $0 < all[rank].count ? all[rank][$0].map(Double.init) : [] })
            let sampler = try loader.sampler(shuffledByDefault: false, seed: 0, epoch: 0, shard: shard) { _ in all }
            #expect((0..<4).map { sampler.globalCount(ofBatch: $0) } == [5, 3, 1, 0])
        }
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "nothing"
        } catch { return "\(error)" }
    }

    @Test func refusals() throws {
        let outside = DataLoader(Numbered(count: 4), batchSize: 2, sampler: ByEpoch { _ in [0, 4] })
        #expect(message { _ = try read(outside) } == "ByEpoch asks for sample 4 of a data set of 4")
        let empty = DataLoader(Numbered(count: 4), batchSampler: GivenBatches(given: [[1], []]))
        #expect(message { _ = try read(empty) } == "GivenBatches made an empty batch")
        let shard = Shard(rank: 1, worldSize: 2)
        let same = DataLoader(Numbered(count: 4), batchSize: 2, sampler: ByEpoch { _ in [0, 1] })
        #expect(
            message { _ = try read(same, shard) { [$0, $0] } }
                == "trainer.useDistributedSampler is off, and sample 0 is read by the ranks 0 and 1: a sampler must give each rank samples of its own"
        )
        let plain = DataLoader(Numbered(count: 4), batchSize: 2)
        #expect(
            message { _ = try read(plain, shard) { [$0] } }.hasPrefix(
                "trainer.useDistributedSampler is off, and a loader has no sampler of its own"))
        let weighted = DataLoader(Numbered(count: 4), batchSize: 2, sampler: WeightedSampler(weights: [1], count: 3))
        #expect(message { _ = try read(weighted) } == "WeightedSampler has 1 weights for 4 samples")
    }

    /// Frequencies follow the weights: of 20,000 draws the standard deviation is at most 0.0036.
    @Test func weights() throws {
        let weights = [0.0, 1, 3, 0, 4]
        let sampler = WeightedSampler(weights: weights, count: 20_000)
        let request = SamplerRequest(count: 5, epoch: 1, seed: 2)
        let drawn = try sampler.indices(request)
        for (sample, weight) in weights.enumerated() {
            let share = Double(drawn.count { $0 == sample }) / 20_000
            #expect(abs(share - weight / 8) < 0.018)
            #expect(weight > 0 || share == 0)
        }
        #expect(try sampler.indices(request) == drawn)
        #expect(try sampler.indices(SamplerRequest(count: 5, epoch: 2, seed: 2)) != drawn)
    }

    /// Every sample once, and never more than so many blocks under way.
    @Test func blocks() {
        for (count, length, window) in [(100, 8, 3), (7, 10, 2), (64, 8, 1), (0, 4, 2), (33, 1, 4)] {
            let shuffle = BlockShuffle(blockLength: length, blocksAtATime: window)
            let order = shuffle.indices(SamplerRequest(count: count, epoch: 0, seed: 1))
            #expect(order.sorted() == Array(0..<count))
            // Each block lies within one window of the order.
            let positions = Dictionary(grouping: order.indices) { order[$0] / length }
            for places in positions.values {
                #expect((places.max() ?? 0) - (places.min() ?? 0) < window * length)
            }
            if count > 30 {
                #expect(shuffle.indices(SamplerRequest(count: count, epoch: 1, seed: 1)) != order)
                #expect(order != order.sorted())
            }
        }
    }

    /// The order for files larger than memory reads each block of a file once.
    @Test func blocksOfAFile() throws {
        let path = try #require(Bundle.module.resourceURL).appendingPathComponent("Golden/columns.h5").path
        let data = try HDF5ColumnDataset(path, columns: ["images"], cacheBytes: 2 * 8 * 12 * 8)
        let loader = DataLoader(
            data, batchSize: 3, sampler: BlockShuffle(blockLength: data.rowsPerBlock, blocksAtATime: 1))
        #expect(loader.map(\.sampleCount).reduce(0, +) == 53)
        #expect(data.blockReads == 7 && data.mostCachedBytes <= 2 * 8 * 12 * 8)
        // A random order of all samples reads several times as much with the same cache.
        let random = try HDF5ColumnDataset(path, columns: ["images"], cacheBytes: 2 * 8 * 12 * 8)
        for _ in DataLoader(random, batchSize: 3, shuffles: true) {}
        #expect(random.blockReads > 20)
    }

    @Test func outsideOfATrainer() throws {
        let loader = DataLoader(Numbered(count: 7), batchSize: 3)
        var seen: [[Double]] = []
        for batch in loader { seen.append(batch.doubles) }
        #expect(seen == [[0, 1, 2], [3, 4, 5], [6]])
        #expect(loader.map(\.sampleCount) == [3, 3, 1])
        let shuffled = DataLoader(Numbered(count: 50), batchSize: 50, shuffles: true)
        func order(_ epoch: Int, _ seed: UInt64?) throws -> [Double] {
            try shuffled.epoch(epoch, seed: seed).next()?.batch?.doubles ?? []
        }
        let first = shuffled.first { _ in true }?.doubles ?? []
        #expect(first.sorted() == (0..<50).map(Double.init) && first != first.sorted())
        #expect(try order(0, nil) == first)
        #expect(try order(1, nil) != first && order(0, 99) != first && order(1, 99) == order(1, 99))
        let half = try loader.epoch(shard: Shard(rank: 1, worldSize: 2))
        #expect(try half.next()?.batch?.doubles == [3, 4, 5] && half.next()?.batch == nil)
    }

    @Test func unreadableDataEndsAFor() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            for _ in DataLoader(Numbered(count: 4), batchSize: 2, sampler: Outside()) {}
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains("DataLoader: Outside asks for sample 4 of a data set of 4"), "\(text)")
    }
}

private struct Outside: Sampler {
    func indices(_ request: SamplerRequest) -> [Int] { [4] }
}
