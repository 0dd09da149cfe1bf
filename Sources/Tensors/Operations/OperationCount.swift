import Synchronization

/// Counts the floating-point operations of matrix products, convolutions and attention, when asked to.
///
/// Only those of forward passes, a multiplication and an addition each, biases left out: PyTorch's `FlopCounterMode` counts
/// alike. Nobody asks in training, where an operation looks at one flag.
public enum OperationCount {
    /// The operations of a closure so far.
    private final class Sum: Sendable {
        let operations = Atomic(0)
    }

    /// How many closures are counted in the whole process: nobody looks further while there are none.
    private static let askers = Atomic(0)
    /// Where the operations of this task or thread go to.
    @TaskLocal private static var sum: Sum?

    /// Does something, and counts the operations that it asks for.
    ///
    /// Those that other threads ask for in the meantime are not counted, except in tasks that this one started.
    public static func counting<Result>(_ body: () throws -> Result) rethrows -> (result: Result, operations: Int) {
        askers.add(1, ordering: .relaxed)
        defer { askers.subtract(1, ordering: .relaxed) }
        // Inside another count both go on, so there is one sum, and each takes its difference.
        let sum = sum ?? Sum()
        let before = sum.operations.load(ordering: .relaxed)
        let result = try $sum.withValue(sum, operation: body)
        return (result, sum.operations.load(ordering: .relaxed) - before)
    }

    @inline(__always)
    static func add(_ operations: @autoclosure () -> Int) {
        guard askers.load(ordering: .relaxed) > 0 else { return }
        sum?.operations.add(operations(), ordering: .relaxed)
    }
}
