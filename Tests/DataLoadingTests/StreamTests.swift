import DataLoading
import Foundation
import Tensors
import Testing

/// Streams: every sample once over the ranks, whatever their number, and the same when an epoch goes on in its middle.
struct StreamTests {
    /// The numbers below `count`, of which reading `broken` fails, with a random number for each batch.
    private func loader(_ count: Int, batch: BatchSize, prefetch: Int = 0, broken: Int? = nil) -> DataLoader<Tensor> {
        let stream = SampleStream<Int, Tensor> { request in
            var next = 0
            return {
                guard next < count else { return nil }
                if next == broken { throw DataLoadingError("sample \(next) is broken") }
                defer { next += 1 }
                return (next + request.epoch) % count
            }
        } collate: { samples in
            let noise = RandomContext.current.draw(.augmentation) { $0.uniforms(1) }[0]
            return Tensor(samples.flatMap { [Double($0), noise] }, shape: [samples.count, 2])
        }
        return DataLoader(stream: stream, batchSize: batch, prefetchCount: prefetch)
    }

    private func read(
        _ loader: DataLoader<Tensor>, _ shard: Shard, epoch: Int = 0, from first: Int = 0, limit: Int = .max
    ) throws -> [[Double]] {
        let sampler = try loader.sampler(shuffledByDefault: true, seed: 3, epoch: epoch, shard: shard)
        #expect(sampler.isStream && !sampler.hasIndices)
        let batches = loader.batches(of: sampler, from: first, limit: limit)
        var read: [[Double]] = []
        while let next = try batches.next() {
            #expect(next.index == first + read.count && next.sampleCount == next.batch?.sampleCount)
            read.append(next.batch?.doubles ?? [])
        }
        #expect(try batches.next() == nil)
        return read
    }

    @Test(.timeLimit(.minutes(1)), arguments: [0, 1, 4]) func everySampleOnce(prefetch: Int) throws {
        for count in [0, 1, 5, 12, 29] {
            for ranks in 1...4 {
                let all = try (0..<ranks).map { rank in
                    try read(
                        loader(count, batch: .perRank(3), prefetch: prefetch), Shard(rank: rank, worldSize: ranks),
                        epoch: 1)
                }
                let samples = all.joined().joined().enumerated().filter { $0.offset % 2 == 0 }.map { Int($0.element) }
                #expect(samples.sorted() == Array(0..<count))
                let sizes = all.map { $0.reduce(0) { $0 + $1.count / 2 } }
                #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
            }
        }
    }

    /// Random numbers of reading included, from every batch on.
    @Test(.timeLimit(.minutes(1)), arguments: [0, 2]) func goingOn(prefetch: Int) throws {
        let shard = Shard(rank: 1, worldSize: 2)
        let loader = loader(23, batch: .global(6), prefetch: prefetch)
        let whole = try read(loader, shard)
        #expect(whole.count == 4 && Set(whole.map { $0[1] }).count == 4)
        for first in 0...5 {
            for limit in [0, 2, 4, 9] {
                let part = try read(loader, shard, from: first, limit: limit)
                #expect(part == Array(whole[min(first, 4)..<max(min(first, 4), min(limit, 4))]))
            }
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [0, 3]) func errors(prefetch: Int) throws {
        let batches = try loader(9, batch: 2, prefetch: prefetch, broken: 4).epoch()
        #expect(try batches.next()?.batch?.sampleCount == 2)
        #expect(try batches.next()?.batch?.sampleCount == 2)
        #expect(throws: DataLoadingError.self) { try batches.next() }
    }
}
