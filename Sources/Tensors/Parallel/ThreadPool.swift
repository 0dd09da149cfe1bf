import Foundation
import Synchronization

/// The compute threads of this process.
///
/// Work is cut into pieces whose bounds depend on sizes alone, never on the number of threads; each thread does its own
/// part of them first and then helps the others (Note [Own pieces first]). So results have the same bits on any number
/// of threads.
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
/// An operation engages at most as many workers as it has pieces for them. Each worker has a number of its own that
/// counts its operations, so those not engaged notice nothing.
///
/// Sendable: `busy` gives one thread at a time the plain fields; a worker reads `body` and `engagedWorkers` only while it is
/// engaged: they are written before its number is raised and read after that is seen, and changed after it has
/// reported to `workersLeft`.
package final class ThreadPool: @unchecked Sendable {
    private let busy = Atomic<Bool>(false)
    /// The calling thread's own pieces.
    private let callersPieces = PieceRange()
    private let workersLeft = Atomic<Int>(0)
    private let wantedThreads = Atomic<Int>(1)
    private var body: ((Int) -> Void)?
    private var engagedWorkers = 0
    private var workers: [Worker] = []

    /// How many workers have been engaged, over all operations.
    package private(set) var engagements = 0

    package init() {}

    package var threadCount: Int {
        get { wantedThreads.load(ordering: .relaxed) }
        set { wantedThreads.store(Swift.max(1, newValue), ordering: .relaxed) }
    }

    /// False when another thread is using the pool.
    package func run(_ count: Int, _ body: (Int) -> Void) -> Bool {
        guard busy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else { return false }
        defer { busy.store(false, ordering: .releasing) }
        // The calling thread takes pieces too.
        let engaged = Swift.max(0, Swift.min(threadCount, count) - 1)
        while workers.count < engaged { startWorker() }
        withoutActuallyEscaping(body) { body in
            self.body = body
            let threads = engaged + 1
            callersPieces.fill(0..<count / threads)
            for index in 0..<engaged {
                workers[index].pieces.fill(count * (index + 1) / threads..<count * (index + 2) / threads)
            }
            engagedWorkers = engaged
            workersLeft.store(engaged, ordering: .relaxed)
            engagements += engaged
            for index in 0..<engaged { workers[index].engage() }
            takePieces(of: 0, body)
            var spin = 0
            while workersLeft.load(ordering: .acquiring) > 0 {
                spin += 1
                if spin > Worker.spins { sched_yield() }
            }
            self.body = nil
        }
        return true
    }

    /// All pieces of a thread, 0 being the calling one, and then what others have left.
    private func takePieces(of thread: Int, _ body: (Int) -> Void) {
        while let piece = takePiece(of: thread, first: true) { body(piece) }
        let threads = engagedWorkers + 1
        for distance in 1..<Swift.max(1, threads) {
            while let piece = takePiece(of: (thread + distance) % threads, first: false) { body(piece) }
        }
    }

    private func takePiece(of thread: Int, first: Bool) -> Int? {
        if thread == 0 { return first ? callersPieces.takeFirst() : callersPieces.takeLast() }
        let pieces = workers[thread - 1]
        return first ? pieces.pieces.takeFirst() : pieces.pieces.takeLast()
    }

    private func startWorker() {
        let worker = Worker()
        workers.append(worker)
        let number = workers.count
        let thread = Thread { [self] in
            while true {
                worker.waitUntilEngaged()
                if let body { takePieces(of: number, body) }
                workersLeft.subtract(1, ordering: .releasing)
            }
        }
        thread.stackSize = 8 << 20
        thread.name = "compute-\(workers.count)"
        thread.start()
    }
}

/// What the pool and one of its threads share.
///
/// Sendable: `seen` belongs to the thread, the rest is atomic or a lock.
private final class Worker: @unchecked Sendable {
    /// Its own pieces of the operation.
    let pieces = PieceRange()
    private let gate = NSCondition()
    private let engaged = Atomic<Int>(0)
    private let isParked = Atomic<Bool>(false)
    private var seen = 0

    /// Spins before parking: about 200 µs, longer than the gap between two operations of a step.
    ///
    /// A thread that parks within a step pays for being woken, and the kernel may wake it on the core of the thread
    /// that woke it, where the two take turns for the rest of the run.
    static let spins = 40_000

    /// Lets the thread go on; called by the pool, once for each operation.
    func engage() {
        engaged.add(1, ordering: .sequentiallyConsistent)
        // Either this sees that the thread is parked, or the thread sees the new number before it waits.
        guard isParked.load(ordering: .sequentiallyConsistent) else { return }
        gate.lock()
        gate.signal()
        gate.unlock()
    }

    /// Returns when the pool has engaged the thread again; called by the thread.
    func waitUntilEngaged() {
        var spin = 0
        while engaged.load(ordering: .acquiring) == seen {
            spin += 1
            if spin > Self.spins { park() }
        }
        seen += 1
    }

    private func park() {
        gate.lock()
        isParked.store(true, ordering: .sequentiallyConsistent)
        while engaged.load(ordering: .sequentiallyConsistent) == seen { gate.wait() }
        isParked.store(false, ordering: .relaxed)
        gate.unlock()
    }
}
