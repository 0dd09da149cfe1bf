import DataLoading
import Tensors
import Testing

/// Two batches of one step.
private struct Pair: DataBatch, Equatable {
    var first: [Double]?
    var second: [Double]?
    var sampleCount: Int { (first?.count ?? 0) + (second?.count ?? 0) }
}

/// Several loaders as one: which batches meet, in each mode, on any number of ranks and from any batch on.
struct CombinedLoaderTests {
    private func plain(_ count: Int, _ size: BatchSize, drops: Bool = false) -> DataLoader<Tensor> {
        DataLoader(Numbered(count: count), batchSize: size, dropsLast: drops)
    }

    private func read<Batch>(
        _ loader: DataLoader<Batch>, _ shard: Shard = Shard(), shuffles: Bool = false, epoch: Int = 0,
        from first: Int = 0
    ) throws -> [Batch] {
        let sampler = try loader.sampler(shuffledByDefault: shuffles, seed: 3, epoch: epoch, shard: shard)
        let batches = loader.batches(of: sampler, from: first)
        var read: [Batch] = []
        while let next = try batches.next() {
            #expect(next.index == first + read.count)
            if let batch = next.batch { read.append(batch) }
        }
        return read
    }

    private func pairs(_ mode: CombinationMode, prefetch: Bool = false) -> DataLoader<Pair> {
        let (long, short) = (plain(10, 2), plain(4, 2))
        guard mode == .maxSize else {
            return DataLoader(combining: long, short, mode: mode) { Pair(first: $0.doubles, second: $1.doubles) }
        }
        return DataLoader(combiningToLongest: long, short) { Pair(first: $0?.doubles, second: $1?.doubles) }
    }

    @Test func modes() throws {
        let long: [[Double]] = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
        let short: [[Double]] = [[0, 1], [2, 3]]
        #expect(try read(pairs(.minSize)) == (0..<2).map { Pair(first: long[$0], second: short[$0]) })
        #expect(try read(pairs(.maxSizeCycle)) == (0..<5).map { Pair(first: long[$0], second: short[$0 % 2]) })
        #expect(
            try read(pairs(.maxSize)) == (0..<5).map { Pair(first: long[$0], second: $0 < 2 ? short[$0] : nil) })
        let sequence = DataLoader(sequential: [plain(5, 2), plain(3, 2)])
        #expect(try read(sequence).map(\.doubles) == [[0, 1], [2, 3], [4], [0, 1], [2]])
        #expect(sequence.parts.count == 2 && sequence.sampleCount == 8)
        #expect(DataLoader(sequential: [sequence, plain(1, 1)]).parts.count == 3)
        #expect(pairs(.maxSizeCycle).map(\.sampleCount) == [4, 4, 4, 4, 4])
    }

    /// Names and lists.
    @Test func collections() throws {
        let named = DataLoader(combining: ["a": plain(3, 1), "b": plain(1, 1)], mode: .maxSize)
        let batches = try read(named).map { $0.mapValues(\.doubles) }
        #expect(batches == [["a": [0], "b": [0]], ["a": [1]], ["a": [2]]])
        let list = DataLoader(combining: [plain(2, 1), plain(3, 2)])
        #expect(try read(list).map { $0.map(\.doubles) } == [[[0], [0, 1]], [[1], [2]]])
        #expect(try read(list).map(\.sampleCount) == [3, 2])
        let float = ["a": Tensor([Float(1)])].converted(toFloating: .float64)
        #expect(float["a"]?.dtype == .float64)
    }

    /// Each pass of a shuffled loader that begins anew has every sample once, in another order; so have the loaders beside
    /// each other.
    @Test func ordersDiffer() throws {
        let loader = DataLoader(combining: plain(60, 3), plain(20, 2), plain(60, 3)) {
            Pair(first: $0.doubles + $2.doubles, second: $1.doubles)
        }
        for epoch in 0..<2 {
            let batches = try read(loader, shuffles: true, epoch: epoch)
            #expect(batches.count == 20)
            let cycles = (0..<2).map { batches[(10 * $0)..<(10 * $0 + 10)].flatMap { $0.second ?? [] } }
            #expect(cycles.allSatisfy { $0.sorted() == (0..<20).map(Double.init) } && cycles[0] != cycles[1])
            let firsts = batches.flatMap { $0.first?.prefix(3) ?? [] },
                thirds = batches.flatMap { $0.first?.suffix(3) ?? [] }
            #expect(firsts.sorted() == thirds.sorted() && firsts != thirds)
            // The first loader's order is the one it has alone.
            #expect(firsts == (try read(plain(60, 3), shuffles: true, epoch: epoch)).flatMap(\.doubles))
        }
    }

    /// From each batch on, in each mode, the same batches as in the whole epoch.
    @Test(arguments: CombinationMode.allCases) func goingOn(mode: CombinationMode) throws {
        let loader = pairs(mode)
        for shuffles in [false, true] {
            let whole = try read(loader, shuffles: shuffles, epoch: 2)
            for first in 0...whole.count {
                #expect(try read(loader, shuffles: shuffles, epoch: 2, from: first) == Array(whole[first...]))
            }
        }
        let sequence = DataLoader(sequential: [plain(5, 2), plain(3, 2)])
        let whole = try read(sequence, shuffles: true).map(\.doubles)
        for first in 0...5 {
            #expect(try read(sequence, shuffles: true, from: first).map(\.doubles) == Array(whole[first...]))
        }
    }

    /// The batches of all ranks together are those of one.
    @Test(arguments: [1, 2, 3]) func overRanks(ranks: Int) throws {
        let loader = DataLoader(combining: plain(24, .global(6)), plain(12, .global(6))) {
            Pair(first: $0.doubles, second: $1.doubles)
        }
        let one = try read(loader, shuffles: true)
        let all = try (0..<ranks).map { try read(loader, Shard(rank: $0, worldSize: ranks), shuffles: true) }
        for batch in one.indices {
            #expect(all.flatMap { $0[batch].first ?? [] } == one[batch].first)
            #expect(all.flatMap { $0[batch].second ?? [] } == one[batch].second)
        }
        let sampler = try loader.sampler(
            shuffledByDefault: false, seed: 0, epoch: 0, shard: Shard(rank: 0, worldSize: ranks))
        #expect((0..<5).map { sampler.globalCount(ofBatch: $0) } == [12, 12, 12, 12, 0])
        #expect(sampler.globalBatchSize == 12 && sampler.count == 36 && !sampler.hasIndices)
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "nothing"
        } catch { return "\(error)" }
    }

    @Test func refusals() throws {
        let two = Shard(rank: 1, worldSize: 2)
        let short = DataLoader(combining: plain(8, .global(4)), plain(5, .global(4))) {
            Pair(first: $0.doubles, second: $1.doubles)
        }
        #expect(
            message { _ = try read(short, two) }
                == "batch 1 of loader 1 of those combined has 1 samples for 2 ranks, and each needs one; give that loader dropsLast: true, or batches of another size"
        )
        let dropped = DataLoader(combining: plain(8, .global(4)), plain(5, .global(4), drops: true)) {
            Pair(first: $0.doubles, second: $1.doubles)
        }
        #expect(try read(dropped, two).count == 2)
        let stream = DataLoader<Tensor>(
            stream: SampleStream<Int, Tensor>({ _ in { 1 } }, collate: { Tensor($0.map { Int64($0) }) }), batchSize: 2)
        #expect(
            message { _ = try read(DataLoader(combining: [stream, plain(8, 2)])) }
                == "a stream is combined with other loaders in mode maxSizeCycle, and nobody knows where it ends; use minSize"
        )
        #expect(try read(DataLoader(combining: [stream, plain(8, 2)], mode: .minSize)).count == 4)
        #expect(
            message { _ = try read(DataLoader(combining: [plain(0, 1), plain(3, 1)])) }
                == "loader 0 of those combined has no batch, and cannot begin anew")
    }
}
