import Foundation

/// Produces numbered values ahead of time on a thread of its own, in order, at most `depth` ahead.
///
/// Sendable: all mutable fields are touched only with `condition` locked.
final class Prefetcher<Value: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private var ready: [Result<Value, any Error>] = []
    private var isCancelled = false

    /// Starts producing the values of a range.
    init(range: Range<Int>, depth: Int, produce: @escaping @Sendable (Int) throws -> Value) {
        let thread = Thread { [self] in
            for index in range {
                let result = Result { try produce(index) }
                guard put(result, depth: depth) else { return }
                if case .failure = result { return }
            }
        }
        thread.name = "prefetch"
        thread.stackSize = 4 << 20
        thread.start()
    }

    /// Waits for room, and stores a value; false when nobody wants it any more.
    private func put(_ result: Result<Value, any Error>, depth: Int) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while ready.count >= depth && !isCancelled { condition.wait() }
        if isCancelled { return false }
        ready.append(result)
        condition.broadcast()
        return true
    }

    /// The next value; waits for it.
    func next() throws -> Value {
        condition.lock()
        defer { condition.unlock() }
        while ready.isEmpty { condition.wait() }
        let result = ready.removeFirst()
        condition.broadcast()
        return try result.get()
    }

    /// Stops the thread at its next value; until then, or its last value, it keeps this object alive.
    func cancel() {
        condition.lock()
        isCancelled = true
        condition.broadcast()
        condition.unlock()
    }
}
