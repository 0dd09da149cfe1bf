import Synchronization

/// Looks for the first operation whose result is not finite, when asked to.
///
/// Every operation that is recorded for a backward pass is looked at, number by number, which takes time; when nobody asks,
/// a recorded operation looks at one flag.
public enum AnomalyWatch {
    private static let isOn = Atomic(false)
    private static let first = Mutex<String?>(nil)

    /// Does something, and says which operation first had a result that was not finite.
    ///
    /// - Returns: `found` is such as `'log' with a result of shape [3, 4]`; nil when all results were finite.
    public static func watching<Result>(_ body: () throws -> Result) rethrows -> (result: Result, found: String?) {
        first.withLock { $0 = nil }
        isOn.store(true, ordering: .relaxed)
        defer { isOn.store(false, ordering: .relaxed) }
        let result = try body()
        return (result, first.withLock { $0 })
    }

    @inline(__always)
    static func look(at result: Tensor, of operation: StaticString) {
        guard isOn.load(ordering: .relaxed) else { return }
        inspect(result, operation)
    }

    private static func inspect(_ result: Tensor, _ operation: StaticString) {
        guard first.withLock({ $0 == nil }), !result.isFinite else { return }
        first.withLock { $0 = "'\(operation)' with a result of shape \(Array(result.shape))" }
    }
}
