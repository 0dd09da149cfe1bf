import DataLoading
import Foundation
import Synchronization
import Tensors
import Testing

/// A data set of numbers that notes what is asked of it.
private final class Numbers: Dataset {
    struct Failure: Error, Equatable { let sample: Int }

    let count: Int
    let isInMemory: Bool
    /// Reading this sample fails.
    let broken: Int?
    let reads = Atomic<Int>(0)
    let running = Atomic<Int>(0)
    let collisions = Atomic<Int>(0)
    private let delay: UInt32

    init(_ count: Int, broken: Int? = nil, isInMemory: Bool = false, delay: UInt32 = 0) {
        self.count = count
        self.broken = broken
        self.isInMemory = isInMemory
        self.delay = delay
    }

    func batch(at indices: [Int]) throws -> Tensor {
        if running.add(1, ordering: .relaxed).newValue > 1 { collisions.add(1, ordering: .relaxed) }
        defer { running.subtract(1, ordering: .relaxed) }
        if delay > 0 { usleep(delay) }
        reads.add(1, ordering: .relaxed)
        if let broken, indices.contains(broken) { throw Failure(sample: broken) }
        // What an augmentation would do.
        let noise = RandomContext.current.draw(.augmentation) { $0.uniforms(indices.count) }
        let more = RandomContext.current.draw(.user) { $0.uniforms(1) }
        return Tensor(zip(indices, noise).flatMap { [Double($0), $1, more[0]] }, shape: [indices.count, 3])
    }
}

/// What one call of `next()` gave.
private enum Outcome: Equatable {
    case batch(Int, [Int], [Double]?)
    case failure(Int)
}

struct DataLoaderTests {
    private func outcomes(
        _ loader: DataLoader<Tensor>, epoch: Int = 0, seed: UInt64 = 3, shard: Shard = Shard(), from first: Int = 0,
        limit: Int = .max
    ) throws -> [Outcome] {
        let sampler = try loader.sampler(shuffledByDefault: true, seed: seed, epoch: epoch, shard: shard)
        let batches = loader.batches(of: sampler, from: first, limit: limit)
        var found: [Outcome] = []
        while true {
            do {
                guard let next = try batches.next() else { break }
                found.append(.batch(next.index, next.sampleIndices, next.batch?.doubles))
            } catch let failure as Numbers.Failure {
                found.append(.failure(failure.sample))
            }
        }
        // It stays at its end.
        #expect(try batches.next() == nil)
        return found
    }

    /// With 26 samples on 4 ranks of 3 the last batch leaves the last ranks with none.
    @Test(.timeLimit(.minutes(1))) func readingAheadChangesNothing() throws {
        for rank in 0..<4 {
            let shard = Shard(rank: rank, worldSize: 4)
            let plain = try outcomes(DataLoader(Numbers(26), batchSize: 3, prefetchCount: 0), shard: shard)
            #expect(plain.count == 3)
            for depth in [1, 2, 3, 50] {
                let ahead = DataLoader(Numbers(26), batchSize: 3, prefetchCount: depth)
                #expect(try outcomes(ahead, shard: shard) == plain)
            }
            guard case .batch(2, let indices, let batch) = try #require(plain.last) else {
                Issue.record("not a batch")
                continue
            }
            #expect(indices.count == [1, 1, 0, 0][rank])
            #expect((batch == nil) == indices.isEmpty)
        }
    }

    /// To begin at a batch, or to end at one, is to leave out the others.
    @Test(.timeLimit(.minutes(1)), arguments: [0, 2]) func resuming(depth: Int) throws {
        let loader = DataLoader(Numbers(50), batchSize: 4, prefetchCount: depth)
        let whole = try outcomes(loader, epoch: 2)
        #expect(whole.count == 13)
        for first in 0...14 {
            for limit in [0, 5, 13, .max] {
                let part = try outcomes(loader, epoch: 2, from: first, limit: limit)
                #expect(part == Array(whole[min(first, 13)..<max(min(first, 13), min(limit, 13))]))
            }
        }
    }

    @Test func randomNumbersOfReaders() throws {
        func noise(_ seed: UInt64, _ epoch: Int, _ rank: Int) throws -> [Double] {
            let loader = DataLoader(Numbers(8), batchSize: 2, shuffles: false)
            let found = try outcomes(loader, epoch: epoch, seed: seed, shard: Shard(rank: rank, worldSize: 2))
            return found.flatMap { outcome -> [Double] in
                guard case .batch(_, _, let numbers?) = outcome else { return [] }
                return numbers.enumerated().filter { $0.offset % 3 != 0 }.map(\.element)
            }
        }
        // Each of two batches has two numbers of one stream, and one of another told twice: all differ.
        let all = try [noise(1, 0, 0), noise(1, 0, 1), noise(1, 1, 0), noise(2, 0, 0)]
        #expect(all.map(\.count) == [8, 8, 8, 8])
        #expect(Set(all.joined()).count == 4 * 6)
        #expect(try noise(1, 0, 0) == all[0])
        // Whatever the model draws in the meantime.
        let before = RandomContext(seed: 9)
        let amid = try RandomContext.$current.withValue(before) {
            _ = before.draw(.augmentation) { $0.uniforms(3) }
            return try noise(1, 0, 0)
        }
        #expect(amid == all[0])
    }

    @Test(.timeLimit(.minutes(1)), arguments: [0, 1, 2, 20]) func errorsComeInTheirPlace(depth: Int) throws {
        let loader = DataLoader(Numbers(12, broken: 5), batchSize: 2, shuffles: false, prefetchCount: depth)
        let found = try outcomes(loader)
        #expect(found.count == 6)
        for (index, outcome) in found.enumerated() {
            switch outcome {
            case .failure(let sample): #expect(index == 2 && sample == 5)
            case .batch(let number, let indices, _): #expect(number == index && indices == [2 * index, 2 * index + 1])
            }
        }
        #expect(found[2] == .failure(5))
    }

    private func waitUntil(_ condition: () -> Bool) -> Bool {
        for _ in 0..<1000 {
            if condition() { return true }
            usleep(5000)
        }
        return condition()
    }

    @Test(.timeLimit(.minutes(1))) func readsNoFurtherThanAsked() throws {
        let data = Numbers(100)
        let loader = DataLoader(data, batchSize: 1, prefetchCount: 3)
        let batches = loader.batches(
            of: try loader.sampler(shuffledByDefault: false, seed: 0, epoch: 0, shard: Shard()))
        #expect(waitUntil { data.reads.load(ordering: .relaxed) == 3 })
        usleep(50_000)
        #expect(data.reads.load(ordering: .relaxed) == 3)
        _ = try batches.next()
        #expect(waitUntil { data.reads.load(ordering: .relaxed) == 4 })
        usleep(50_000)
        #expect(data.reads.load(ordering: .relaxed) == 4)
        #expect(try batches.next()?.index == 1)
    }

    /// The thread of an iterator that is dropped ends, and lets go of the data set.
    @Test(.timeLimit(.minutes(1))) func aDroppedIteratorEnds() throws {
        weak var data: Numbers?
        weak var batches: BatchIterator<Tensor>?
        try {
            let numbers = Numbers(1000)
            data = numbers
            let loader = DataLoader(numbers, batchSize: 1, prefetchCount: 2)
            let sampler = try loader.sampler(shuffledByDefault: false, seed: 0, epoch: 0, shard: Shard())
            let iterator = loader.batches(of: sampler)
            batches = iterator
            _ = try iterator.next()
            #expect(waitUntil { numbers.reads.load(ordering: .relaxed) == 3 })
        }()
        #expect(batches == nil)
        #expect(waitUntil { data == nil })
    }

    /// Many epochs broken off leave no threads behind.
    @Test(.timeLimit(.minutes(1))) func manyDroppedIterators() throws {
        let loader = DataLoader(Numbers(1000), batchSize: 1, prefetchCount: 2)
        let sampler = try loader.sampler(shuffledByDefault: false, seed: 0, epoch: 0, shard: Shard())
        for _ in 0..<300 { _ = try loader.batches(of: sampler).next() }
        // Other tests run beside this one, with threads of their own, but not hundreds.
        #expect(waitUntil { threadCount() < 150 }, "\(threadCount()) threads")
    }

    private func threadCount() -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task"))?.count ?? .max
    }

    @Test(.timeLimit(.minutes(1))) func oneReaderAtATime() throws {
        let data = Numbers(40, delay: 500)
        let loader = DataLoader(data, batchSize: 1, prefetchCount: 4)
        let sampler = try loader.sampler(shuffledByDefault: true, seed: 0, epoch: 0, shard: Shard())
        let iterators = (0..<4).map { _ in loader.batches(of: sampler) }
        for _ in 0..<40 {
            let indices = try iterators.map { try #require(try $0.next()).sampleIndices }
            #expect(Set(indices).count == 1)
        }
        #expect(data.reads.load(ordering: .relaxed) == 160)
        #expect(data.collisions.load(ordering: .relaxed) == 0)
    }

    @Test func defaults() throws {
        let memory = DataLoader(Numbers(10, isInMemory: true), batchSize: 3)
        #expect(memory.prefetchCount == 0 && memory.sampleCount == 10 && memory.shuffles == nil && !memory.dropsLast)
        #expect(DataLoader(Numbers(10), batchSize: 3).prefetchCount == 2)
        func order(_ shuffles: Bool?, _ byDefault: Bool) throws -> [Int] {
            let loader = DataLoader(Numbers(50, isInMemory: true), batchSize: 50, shuffles: shuffles)
            return try loader.sampler(shuffledByDefault: byDefault, seed: 0, epoch: 0, shard: Shard()).indices(
                ofBatch: 0)
        }
        #expect(try order(nil, false) == Array(0..<50))
        #expect(try order(false, true) == Array(0..<50))
        #expect(try order(nil, true) != Array(0..<50))
        #expect(try order(true, false) == order(nil, true))
        let dropping = DataLoader(Numbers(10), batchSize: .global(4), dropsLast: true)
        #expect(try outcomes(dropping).count == 2)
        #expect(throws: DataLoadingError.self) {
            try dropping.sampler(shuffledByDefault: true, seed: 0, epoch: 0, shard: Shard(rank: 0, worldSize: 3))
        }
    }

    @Test func misuse() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = DataLoader(Numbers(1), batchSize: 1, prefetchCount: -1)
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains("DataLoader: -1 batches to read ahead"), "\(text)")
    }
}
