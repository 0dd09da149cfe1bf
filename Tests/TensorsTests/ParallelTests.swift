import Foundation
import Synchronization
import Tensors
import TestSupport
import Testing

/// The same bits on any number of threads.
struct ParallelTests {
    /// Values and gradients of every operation that uses threads, at sizes where it does.
    static func everything() -> [(name: String, tensor: Tensor)] {
        RandomContext.$current.withValue(RandomContext(seed: 2)) {
            var results: [(String, Tensor)] = []
            func run(_ name: String, _ shapes: [Shape], _ function: ([Tensor]) -> Tensor) {
                let parameters = shapes.enumerated().map { i, shape in
                    Parameter(sampleValues(shape, dtype: .float32, seed: UInt64(i)))
                }
                let result = function(parameters.map(\.value))
                results.append((name, result.detached))
                result.backward(gradient: fixedWeights(result.shape, dtype: .float32))
                for (i, parameter) in parameters.enumerated() {
                    if let gradient = parameter.gradient { results.append(("\(name), gradient \(i)", gradient)) }
                }
            }
            let long: Shape = [3, 50_001]
            run("exp", [long]) { $0[0].exp() }
            run("gelu", [long]) { $0[0].gelu() }
            run("affine", [long]) { $0[0] * 3 + 1 }
            run("product", [long, long]) { $0[0] * $0[1] }
            run("broadcast", [[300, 701], [701]]) { $0[0] / ($0[1] + 3) }
            run("column", [[300, 701], [300, 1]]) { $0[0] - $0[1] }
            run("transposed", [[300, 701], [701, 300]]) { $0[0] + $0[1].transposed() }
            run("comparison", [long, long]) { Tensor.select(where: $0[0] .< $0[1], $0[0], $0[1]) }
            run("sum", [long]) { $0[0].sum() }
            run("sum of rows", [[700, 301]]) { $0[0].sum(along: 1) }
            run("sum of columns", [[5_001, 70]]) { $0[0].sum(along: 0) }
            run("softmax", [[700, 301]]) { $0[0].softmax() }
            run("logSoftmax", [[700, 301]]) { $0[0].logSoftmax() }
            run("crossEntropy", [[3_000, 31]]) { crossEntropy($0[0], Tensor((0..<3_000).map { Int64($0 % 31) })) }
            run("layerNorm", [[1_000, 97], [97], [97]]) { $0[0].layerNorm(weight: $0[1], bias: $0[2]) }
            run("rmsNorm, linear, gelu, linear", [[1_000, 96], [96], [128, 96], [96, 128]]) {
                $0[0].rmsNorm(weight: $0[1]).linear(weight: $0[2], bias: nil).gelu().linear(weight: $0[3], bias: nil)
            }
            run("batchNorm", [[16, 7, 31, 29], [7], [7]]) { $0[0].batchNorm(weight: $0[1], bias: $0[2]).result }
            run("dropout", [long]) { $0[0].droppedOut(0.3) }
            run("rows", [[50, 300]]) { $0[0].rows(at: Tensor((0..<400).map { Int64($0 * 7 % 50) })) }
            run("matmul", [[300, 170], [170, 210]]) { $0[0].matmul($0[1]) }
            run("wide matmul", [[40, 600], [600, 1_100]]) { $0[0].matmul($0[1]) }
            run("batched matmul", [[9, 60, 70], [9, 70, 80]]) { $0[0].matmul($0[1]) }
            run("linear", [[8, 150, 160], [170, 160], [170]]) { $0[0].linear(weight: $0[1], bias: $0[2]) }
            run("transformer's products", [[9, 40, 96], [3 * 96, 96], [3 * 96]]) {
                $0[0].linear(weight: $0[1], bias: $0[2])
            }
            run("attention across blocks", [[1, 2, 200, 16], [1, 2, 600, 16], [1, 2, 600, 16]]) {
                scaledDotProductAttention(query: $0[0], key: $0[1], value: $0[2], isCausal: true)
            }
            run("attention", [[3, 4, 65, 16], [3, 4, 65, 16], [3, 4, 65, 16]]) {
                scaledDotProductAttention(query: $0[0], key: $0[1], value: $0[2], isCausal: true)
            }
            for (name, cell) in [("lstm", RecurrentCell.lstm), ("gru", .gru)] {
                let columns = cell.gates * 96
                run(name, [[4, 70, columns], [columns, 96], [columns], [70, 96]]) {
                    $0[0].recurrence(cell, weight: $0[1], bias: $0[2], state: $0[3])
                }
            }
            let window = Window(kernel: 3, stride: 2, padding: 1)
            run("convolution", [[13, 6, 29, 31], [10, 6, 3, 3], [10]]) {
                $0[0].convolved(weight: $0[1], bias: $0[2], window: window)
            }
            run("one large convolution", [[1, 32, 64, 64], [64, 32, 3, 3]]) {
                $0[0].convolved(weight: $0[1], bias: nil, window: Window(kernel: 3, padding: 1))
            }
            run("maxPool", [[13, 6, 29, 31]]) { $0[0].maxPooled(window) }
            run("averagePool", [[13, 6, 29, 31]]) { $0[0].averagePooled(window) }
            return results
        }
    }

    // See Note [Own process]: the number of threads belongs to the process, and other tests keep the pool busy.

    @Test func theSameBitsOnAnyNumberOfThreads() async {
        await #expect(processExitsWith: .success) {
            Parallel.threadCount = 1
            let expected = ParallelTests.everything()
            #expect(expected.count > 60)
            for threads in [2, 3, 7, 2, 1] {
                Parallel.threadCount = threads
                #expect(Parallel.threadCount == threads)
                for _ in 0..<3 {
                    for (actual, reference) in zip(ParallelTests.everything(), expected) {
                        expectSameBits(actual.tensor, reference.tensor, "\(reference.name) on \(threads) threads")
                    }
                }
            }
        }
    }

    @Test func theSameBitsWhenSeveralThreadsUseThePool() async {
        await #expect(processExitsWith: .success) {
            let expected = ParallelTests.everything()
            Parallel.threadCount = 3
            DispatchQueue.concurrentPerform(iterations: 6) { _ in
                for (actual, reference) in zip(ParallelTests.everything(), expected) {
                    expectSameBits(actual.tensor, reference.tensor, "\(reference.name) beside others")
                }
            }
        }
    }

    /// An owner from the front and others from the back take each piece once.
    @Test func piecesAreTakenOnce() {
        let range = PieceRange()
        #expect(range.takeFirst() == nil && range.takeLast() == nil)
        range.fill(3..<6)
        #expect(range.takeFirst() == 3)
        #expect(range.takeLast() == 5)
        #expect(range.takeLast() == 4)
        #expect(range.takeLast() == nil && range.takeFirst() == nil)
        for _ in 0..<50 {
            range.fill(10..<2_010)
            let taken = Mutex([Int](repeating: 0, count: 2_010))
            DispatchQueue.concurrentPerform(iterations: 4) { thread in
                var own: [Int] = []
                while let piece = thread == 0 ? range.takeFirst() : range.takeLast() { own.append(piece) }
                taken.withLock { counts in for piece in own { counts[piece] += 1 } }
            }
            #expect(taken.withLock { $0 } == (0..<2_010).map { $0 < 10 ? 0 : 1 })
        }
    }

    /// A thread that has done its own pieces helps the others.
    @Test func nobodyWaitsBesidePiecesThatAreLeft() {
        let pool = ThreadPool()
        pool.threadCount = 2
        // The caller's first piece ends only when all others are done, those of its own share too.
        let done = Atomic<Int>(0)
        let ran = pool.run(10) { piece in
            if piece == 0 { while done.load(ordering: .acquiring) < 9 { sched_yield() } }
            done.add(1, ordering: .releasing)
        }
        #expect(ran)
        #expect(done.load(ordering: .relaxed) == 10)
    }

    /// No more workers than have a piece to take; those that rest are there again when there is more to do.
    @Test func fewPiecesEngageFewWorkers() {
        let pool = ThreadPool()
        pool.threadCount = 6
        var engagements = 0
        for round in 0..<300 {
            for (count, engaged) in [(2, 1), (3, 2), (1, 0), (6, 5), (50, 5), (0, 0)] {
                let taken = Mutex([Int](repeating: 0, count: count))
                let ran = pool.run(count) { piece in taken.withLock { $0[piece] += 1 } }
                #expect(ran)
                #expect(taken.withLock { $0 } == Array(repeating: 1, count: count))
                engagements += engaged
                #expect(pool.engagements == engagements)
            }
            if round % 50 == 0 { usleep(2_000) }  // time to park
        }
        pool.threadCount = 2
        #expect(pool.run(9) { _ in })
        #expect(pool.engagements == engagements + 1)
    }

    /// Threads that wait for work take no processor time, once they have parked.
    @Test func idleThreadsPark() async {
        await #expect(processExitsWith: .success) {
            Parallel.threadCount = 4
            let before = Tensor.ones([1 << 20]).exp()
            #expect(before.elementCount == 1 << 20)
            usleep(100_000)
            let busy = clock()
            usleep(500_000)
            // Three threads that spin would have taken 1.5 s.
            #expect(Double(clock() - busy) / Double(CLOCKS_PER_SEC) < 0.1)
        }
    }

    @Test func aThreadCountBelowOneIsOne() async {
        await #expect(processExitsWith: .success) {
            Parallel.threadCount = 0
            #expect(Parallel.threadCount == 1)
        }
    }
}
