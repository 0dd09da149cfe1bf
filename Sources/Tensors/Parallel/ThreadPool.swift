import Foundation
import Synchronization

/// The compute threads of this process.
///
/// Work is cut into pieces whose bounds depend on sizes alone, never on the number of threads; a thread takes the next
/// piece that nobody has. So results have the same bits on any number of threads.
public enum Parallel {
    private static let pool = ThreadPool()

    /// How many threads work on one operation, the calling thread included.
    ///
    /// One until somebody sets it.
    public static var threadCount: Int {
        get { pool.threadCount }
        set { pool.threadCount = newValue }
    }

    /// Calls `body` once for each piece `0 ..< count`, on all threads; returns when all are done.
    ///
    /// Runs in order on the calling thread when there is one thread, one piece, or the pool is busy with another
    /// thread's work.
    static func forEach(_ count: Int, _ body: (Int) -> Void) {
        if count <= 1 || pool.threadCount == 1 || !pool.run(count, body) {
            for piece in 0..<count { body(piece) }
        }
    }

    /// Calls `body` with ranges that cover `0 ..< count`, each of `grain` indices (the last may be shorter).
    static func forRanges(_ count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
        let pieces = (count + grain - 1) / grain
        if pieces <= 1 {
            if count > 0 { body(0..<count) }
            return
        }
        forEach(pieces) { piece in body((piece * grain)..<Swift.min((piece + 1) * grain, count)) }
    }
}

/// Threads that wait for the next operation, spinning for a moment before they park.
///
/// Sendable: all shared fields are atomics or guarded by `gate`; `body` is written before `generation` is released and
/// read after it is acquired.
private final class ThreadPool: @unchecked Sendable {
    private let gate = NSCondition()
    private let busy = Atomic<Bool>(false)
    private let generation = Atomic<Int>(0)
    private let nextPiece = Atomic<Int>(0)
    private let workersLeft = Atomic<Int>(0)
    private let parked = Atomic<Int>(0)
    private let wantedThreads = Atomic<Int>(1)
    private var body: ((Int) -> Void)?
    private var pieces = 0
    private var workers = 0

    /// Spins before parking: about 20 µs, longer than the gap between two operations of a step.
    private static let spins = 4_000

    var threadCount: Int {
        get { wantedThreads.load(ordering: .relaxed) }
        set { wantedThreads.store(Swift.max(1, newValue), ordering: .relaxed) }
    }

    /// False when another thread is using the pool.
    func run(_ count: Int, _ body: (Int) -> Void) -> Bool {
        guard busy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else { return false }
        defer { busy.store(false, ordering: .releasing) }
        let helpers = threadCount - 1
        while workers < helpers { startWorker() }
        withoutActuallyEscaping(body) { body in
            self.body = body
            pieces = count
            nextPiece.store(0, ordering: .relaxed)
            workersLeft.store(workers, ordering: .relaxed)
            generation.add(1, ordering: .sequentiallyConsistent)
            if parked.load(ordering: .sequentiallyConsistent) > 0 {
                gate.lock()
                gate.broadcast()
                gate.unlock()
            }
            takePieces(body, count)
            var spin = 0
            while workersLeft.load(ordering: .acquiring) > 0 {
                spin += 1
                if spin > Self.spins { sched_yield() }
            }
            self.body = nil
        }
        return true
    }

    private func takePieces(_ body: (Int) -> Void, _ count: Int) {
        while true {
            let piece = nextPiece.add(1, ordering: .relaxed).oldValue
            if piece >= count { return }
            body(piece)
        }
    }

    private func startWorker() {
        workers += 1
        let index = workers
        let seen = generation.load(ordering: .acquiring)
        let thread = Thread { [self] in work(index: index, seen: seen) }
        thread.stackSize = 8 << 20
        thread.name = "compute-\(index)"
        thread.start()
    }

    private func work(index: Int, seen: Int) {
        var seen = seen
        while true {
            var spin = 0
            while generation.load(ordering: .acquiring) == seen {
                spin += 1
                if spin > Self.spins { park(until: seen) }
            }
            seen += 1
            // A worker beyond a lowered thread count only reports itself.
            if index < threadCount, let body { takePieces(body, pieces) }
            workersLeft.subtract(1, ordering: .releasing)
        }
    }

    private func park(until seen: Int) {
        gate.lock()
        parked.add(1, ordering: .sequentiallyConsistent)
        while generation.load(ordering: .sequentiallyConsistent) == seen { gate.wait() }
        parked.subtract(1, ordering: .relaxed)
        gate.unlock()
    }
}
