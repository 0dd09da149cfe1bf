import Foundation

/// Produces numbered values ahead of time on a thread of its own, in order, at most `depth` ahead.
///
/// The thread ends after the last value, and soon after the prefetcher is gone. A value that could not be produced
/// throws in its place; those after it are produced all the same.
final class Prefetcher<Value: Sendable> {
    private let queue: Queue

    /// Starts producing the values of a range.
    init(range: Range<Int>, depth: Int, produce: @escaping @Sendable (Int) throws -> Value) {
        let queue = Queue(depth: depth)
        self.queue = queue
        let thread = Thread {
            for index in range {
                guard queue.waitForRoom() else { return }
                queue.put(Result { try produce(index) })
            }
        }
        thread.name = "prefetch"
        thread.stackSize = 4 << 20
        thread.start()
    }

    deinit { queue.close() }

    /// The next value; waits for it.
    ///
    /// There are as many as the range has numbers.
    func next() throws -> Value { try queue.take().get() }

    /// What the thread and the prefetcher share; the thread does not hold the prefetcher, so that it can go.
    ///
    /// Sendable: all mutable fields are touched only with `condition` locked.
    private final class Queue: @unchecked Sendable {
        private let condition = NSCondition()
        private let depth: Int
        private var ready: [Result<Value, any Error>] = []
        private var isClosed = false

        init(depth: Int) { self.depth = depth }

        /// Waits until a value is wanted; false when none will be.
        func waitForRoom() -> Bool {
            condition.lock()
            defer { condition.unlock() }
            while ready.count >= depth && !isClosed { condition.wait() }
            return !isClosed
        }

        func put(_ result: Result<Value, any Error>) {
            condition.lock()
            ready.append(result)
            condition.signal()
            condition.unlock()
        }

        func take() -> Result<Value, any Error> {
            condition.lock()
            defer { condition.unlock() }
            while ready.isEmpty { condition.wait() }
            condition.signal()
            return ready.removeFirst()
        }

        func close() {
            condition.lock()
            isClosed = true
            // Values that nobody takes any more may be large.
            ready = []
            condition.signal()
            condition.unlock()
        }
    }
}
