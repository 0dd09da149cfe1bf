import Synchronization

/// A number that only grows, shared between threads.
final class Counter: Sendable {
    private let value = Atomic<Int>(0)

    /// Adds one and returns the new number.
    @discardableResult func increment() -> Int { value.add(1, ordering: .relaxed).newValue }

    /// The number now.
    var count: Int { value.load(ordering: .relaxed) }
}
