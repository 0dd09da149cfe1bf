import Synchronization

/// Counts the floating-point operations of matrix products, convolutions and attention, when asked to.
///
/// Only those of forward passes, a multiplication and an addition each, biases left out: PyTorch's `FlopCounterMode` counts
/// alike. Nobody asks in training, where an operation looks at one flag.
public enum OperationCount {
    private static let askers = Atomic(0)
    private static let count = Atomic(0)

    /// Does something, and counts its operations on all threads.
    public static func counting<Result>(_ body: () throws -> Result) rethrows -> (result: Result, operations: Int) {
        askers.add(1, ordering: .relaxed)
        defer { askers.subtract(1, ordering: .relaxed) }
        let before = now
        let result = try body()
        return (result, now - before)
    }

    /// What was counted so far, by anybody.
    private static var now: Int { count.load(ordering: .relaxed) }

    @inline(__always)
    static func add(_ operations: @autoclosure () -> Int) {
        guard askers.load(ordering: .relaxed) > 0 else { return }
        count.add(operations(), ordering: .relaxed)
    }
}
