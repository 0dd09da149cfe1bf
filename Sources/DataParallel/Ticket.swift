import Dispatch
import MPI
import Synchronization

/// The promise of one piece of work given to a communication lane.
public final class Ticket: Sendable {
    private struct State {
        var failure: (any Error)?
        var isDone = false
        var sleepers = 0
    }

    private let state = Mutex(State())
    private let isDone = Atomic(false)
    private let wake = DispatchSemaphore(value: 0)

    init() {}

    /// Returns when the work is done; any number of callers may wait, and again.
    ///
    /// - Throws: the error of the work, or the first error of the lane when that came before.
    public func wait() throws {
        spin(until: { isDone.load(ordering: .acquiring) })
        let mustSleep = state.withLock { state in
            if !state.isDone { state.sleepers += 1 }
            return !state.isDone
        }
        if mustSleep { wake.wait() }
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// Whether the work is done, well or not.
    public var isComplete: Bool { isDone.load(ordering: .acquiring) }

    func complete(_ failure: (any Error)?) {
        let sleepers = state.withLock { state in
            state.failure = failure
            state.isDone = true
            // Inside the lock, so that a waiter who sees it also finds the failure.
            isDone.store(true, ordering: .releasing)
            return state.sleepers
        }
        for _ in 0..<sleepers { wake.signal() }
    }
}

/// Watches a condition for a few microseconds before the caller goes to sleep.
///
/// Waking a sleeping thread costs some 5 to 50 µs, much work is shorter, and a longer watch would take the core from
/// the rank that is waited for. Confined to one core, as `mpirun` confines a rank unless told otherwise, watching only
/// keeps the other thread from running, so there it sleeps at once.
@inline(__always)
func spin(until condition: () -> Bool) {
    guard hasSeveralCores else { return }
    let end = ContinuousClock.now.advanced(by: .microseconds(5))
    repeat {
        for _ in 0..<32 where condition() { return }
    } while ContinuousClock.now < end
}

private let hasSeveralCores = ThreadAllotment.single.cores > 1
