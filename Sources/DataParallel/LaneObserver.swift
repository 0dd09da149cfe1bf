import Dispatch
import Synchronization

/// What a rank does together with the others, as far as its time is concerned.
package enum LaneActivity {
    /// A piece of work of the lane, on whatever thread does it.
    case work(CollectiveRequest)
    /// A thread waits until its work is done, or does it.
    case wait
    /// The other ranks of the node are waited for.
    case nodeBarrier
}

/// Who wants to know how long ranks work together, and wait for each other.
package protocol LaneObserver: AnyObject, Sendable {
    /// Something took from one time to another, in nanoseconds of the system's monotonic clock.
    ///
    /// Called on the thread that did it.
    func observed(_ activity: LaneActivity, from began: UInt64, to ended: UInt64)
}

/// Takes the time of a lane's activities for an observer; without one it reads no clock.
final class LaneStopwatch: Sendable {
    private let isObserved = Atomic(false)
    private let observer = Mutex<(any LaneObserver)?>(nil)

    /// Tells an observer from now on, or nobody.
    func report(to new: (any LaneObserver)?) {
        observer.withLock { $0 = new }
        isObserved.store(new != nil, ordering: .relaxed)
    }

    @inline(__always)
    func time<Result>(_ activity: @autoclosure () -> LaneActivity, _ body: () throws -> Result) rethrows -> Result {
        guard isObserved.load(ordering: .relaxed) else { return try body() }
        let began = DispatchTime.now().uptimeNanoseconds
        defer {
            let ended = DispatchTime.now().uptimeNanoseconds
            observer.withLock { $0 }?.observed(activity(), from: began, to: ended)
        }
        return try body()
    }
}
