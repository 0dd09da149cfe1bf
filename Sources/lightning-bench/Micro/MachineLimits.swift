import CBenchmark
import Foundation

/// What the machine can do at best, measured in the same minute as what is compared with it.
enum MachineLimits {
    /// Multiply-adds in registers, GFLOP/s of so many threads together.
    static func multiplyAdds(threads: Int) -> Double { rate(threads, cb_multiply_adds_f32) }
    /// The same in double precision.
    static func doubleMultiplyAdds(threads: Int) -> Double { rate(threads, cb_multiply_adds_f64) }
    /// Dot products of bfloat16 pairs, GFLOP/s; 0 where the CPU has none.
    static func bfloat16DotProducts(threads: Int) -> Double { rate(threads, cb_dot_products_bf16) }

    /// `a = b + s · c` over arrays far larger than the caches, GB/s as STREAM counts: two reads and a write.
    static func triad(threads: Int) -> Double {
        overMemory(threads, arrays: 3) { part, arrays in
            cb_triad(
                Int64(part.count), 1.5, arrays[0] + part.lowerBound, arrays[1] + part.lowerBound,
                arrays[2] + part.lowerBound)
        }
    }

    /// `memcpy` over arrays far larger than the caches, GB/s: a read and a write.
    static func copy(threads: Int) -> Double {
        overMemory(threads, arrays: 2) { part, arrays in
            memcpy(arrays[0] + part.lowerBound, arrays[1] + part.lowerBound, part.count * 4)
        }
    }

    private static func rate(_ threads: Int, _ loop: @Sendable (Int64) -> Double) -> Double {
        // Some milliseconds, beside which it does not matter that the second thread is woken late.
        let rounds: Int64 = 5_000_000
        let operations = loop(1) * Double(rounds) * Double(threads)
        let seconds = Stopwatch.least(of: 5) {
            DispatchQueue.concurrentPerform(iterations: threads) { _ in _ = loop(rounds) }
        }
        return operations / seconds / 1e9
    }

    private static func overMemory(
        _ threads: Int, arrays count: Int, _ pass: @Sendable (Range<Int>, [UnsafeMutablePointer<Float>]) -> Void
    ) -> Double {
        let length = 32 << 20
        nonisolated(unsafe) let arrays = (0..<count).map { _ in UnsafeMutablePointer<Float>.allocate(capacity: length) }
        defer { for array in arrays { array.deallocate() } }
        for array in arrays { array.initialize(repeating: 1, count: length) }
        let seconds = Stopwatch.least(of: 5) {
            DispatchQueue.concurrentPerform(iterations: threads) { thread in
                pass((length / threads * thread)..<(length / threads * (thread + 1)), arrays)
            }
        }
        return Double(count * 4 * length) / seconds / 1e9
    }
}
