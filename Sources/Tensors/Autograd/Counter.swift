import Synchronization

/// A number that only grows, shared between threads.
final class Counter: Sendable {
    private let value = Atomic<Int>(0)

    /// Adds one and returns the new number.
    func increment() -> Int { value.add(1, ordering: .relaxed).newValue }
}
