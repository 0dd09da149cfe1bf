import Dispatch
import MPI
import Synchronization
import Tensors

/// What work on the communication lane may use.
///
/// It exists on the lane's thread only.
public final class LaneContext {
    /// The ranks of the lane.
    public let communicator: Communicator
    /// The check that all ranks ask for the same.
    public let agreement: Agreement
    /// The sum of gradients in fixed order.
    public let treeAllReduce: TreeAllReduce
    /// Gradients in memory that the ranks of a node share.
    let windows = GradientWindows()

    init(communicator: Communicator, hostname: String) {
        self.communicator = communicator
        agreement = Agreement(communicator: communicator, hostname: hostname)
        treeAllReduce = TreeAllReduce(communicator: communicator)
    }
}

/// The one thread that makes all MPI calls once training has started.
///
/// Note [Lane]: collectives must be entered in the same order by every rank. A single first-in first-out queue served by
/// a single thread gives that order by construction, lets gradients travel while the backward pass goes on, and keeps
/// MPI at the thread level SERIALIZED. When a piece of work fails, the ranks' orders can no longer be trusted: the
/// lane does no further work, and every later wait throws that first error.
public final class CommunicationLane: Sendable {
    private struct Item {
        let request: CollectiveRequest
        let ticket: Ticket
        let work: @Sendable (LaneContext) throws -> Void
    }

    private struct State {
        var queue: [Item] = []
        var failure: (any Error)?
        var isParked = false
        var isStopping = false
        var group: CollectiveRequest?
        var thread: SystemThread?
    }

    private let state = Mutex(State())
    private let waiting = Atomic(0)
    private let wake = DispatchSemaphore(value: 0)
    private let watchdog: Watchdog?

    /// Starts the lane.
    ///
    /// From now on nobody else uses `communicator`.
    ///
    /// - Parameters:
    ///   - communicator: the ranks to communicate with.
    ///   - hostname: this node's name, for the words of errors.
    ///   - watchdog: is told when each piece of work begins and ends.
    public init(communicator: Communicator, hostname: String, watchdog: Watchdog? = nil) {
        self.watchdog = watchdog
        let thread = SystemThread(for: "communication lane") { [self] in
            serve(LaneContext(communicator: communicator, hostname: hostname))
        }
        state.withLock { $0.thread = thread }
    }

    /// Queues work and returns at once.
    ///
    /// - Parameters:
    ///   - request: what the work is, for the watchdog; it is not compared with the other ranks.
    ///   - work: runs on the lane's thread. Memory it points to must stay, untouched, until the ticket is done.
    public func submit(
        _ request: CollectiveRequest, _ work: @escaping @Sendable (LaneContext) throws -> Void
    ) -> Ticket {
        let ticket = Ticket()
        let mustWake: Bool? = state.withLock { state in
            guard !state.isStopping else { return nil }
            state.queue.append(Item(request: request, ticket: ticket, work: work))
            waiting.store(state.queue.count, ordering: .releasing)
            defer { state.isParked = false }
            return state.isParked
        }
        switch mustWake {
        case nil: ticket.complete(LaneStopped(request: request))
        case true?: wake.signal()
        case false?: break
        }
        return ticket
    }

    /// Queues work, waits for it, and returns its result.
    ///
    /// Never call it from work on the lane: the lane cannot wait for itself.
    ///
    /// The work may use what the caller owns, since the caller waits.
    /// - Throws: the error of the work, or the first error of the lane when that came before.
    public func perform<Result>(
        _ request: CollectiveRequest, _ work: (LaneContext) throws -> Result
    ) throws -> Result {
        if state.withLock({ $0.thread?.isCurrent ?? false }) { fatalError("the lane cannot wait for itself") }
        return try withoutActuallyEscaping(work) { work in
            let loan = Loan(work)
            let ticket = submit(request) { try loan.run($0) }
            defer { loan.end() }
            try ticket.wait()
            return try loan.result()
        }
    }

    /// Queues work that begins with the agreement of all ranks on `request`, and waits for it.
    ///
    /// - Returns: what `work` returns, given every rank's payload by rank.
    /// - Throws: the same `CollectiveMismatch` on every rank when they ask for different things; ``CollectiveInGroup``
    ///   inside a group; errors of the work.
    public func performAgreed<Result>(
        _ request: CollectiveRequest, payload: ControlPayload = .zero,
        _ work: (LaneContext, [ControlPayload]) throws -> Result
    ) throws -> Result {
        if let group = state.withLock({ $0.group }) { throw CollectiveInGroup(request: request, group: group) }
        return try perform(request) { lane in
            try work(lane, try lane.agreement.agree(on: request, payload: payload))
        }
    }

    /// Begins a group of collectives that one agreement covers: until ``endGroup()``, ``performAgreed(_:payload:_:)``
    /// refuses.
    ///
    /// Ranks go through a group at their own pace: one has queued all of it at once when another has just begun. So
    /// a collective asked for in the middle would meet another one on other ranks, without a check between them.
    public func beginGroup(_ request: CollectiveRequest) { state.withLock { $0.group = request } }

    /// Ends the group: all of it is queued.
    public func endGroup() { state.withLock { $0.group = nil } }

    /// Queues the sum of a gradient buffer over all ranks, in the fixed tree order.
    ///
    /// The caller leaves the buffer alone until the ticket is done.
    public func submitSum(of buffer: UnsafeMutableBufferPointer<Float>, tag: String) -> Ticket {
        // The address goes to the lane's thread; by the rule above only one side uses the memory at a time.
        nonisolated(unsafe) let buffer = buffer
        let request = CollectiveRequest(.allReduce, tag, count: buffer.count, of: .float32)
        return submit(request) { try $0.treeAllReduce.sum(buffer) }
    }

    /// Queues the sum of a gradient buffer over all ranks, in the fixed tree order.
    ///
    /// The caller leaves the buffer alone until the ticket is done.
    public func submitSum(of buffer: UnsafeMutableBufferPointer<Double>, tag: String) -> Ticket {
        nonisolated(unsafe) let buffer = buffer
        let request = CollectiveRequest(.allReduce, tag, count: buffer.count, of: .float64)
        return submit(request) { try $0.treeAllReduce.sum(buffer) }
    }

    /// Queues the sum of gradients in shared memory over all ranks, in the fixed tree order.
    ///
    /// The caller leaves them alone until the ticket is done.
    ///
    /// - Parameters:
    ///   - range: In elements from the start of the memory, the same on every rank.
    ///   - type: `float32` or `float64`.
    ///   - shared: The memory.
    ///   - tag: What they are, for the watchdog.
    func submitSum(of range: Range<Int>, _ type: DType, in shared: SharedGradients, tag: String) -> Ticket {
        let request = CollectiveRequest(
            .allReduce, tag, count: range.count, of: type == .float64 ? .float64 : .float32)
        return submit(request) { try $0.windows.sum(range, of: type, in: shared) }
    }

    /// Finishes the queued work and ends the thread.
    ///
    /// A second call does nothing.
    public func shutdown() {
        let (thread, mustWake) = state.withLock { state in
            defer { (state.thread, state.isParked) = (nil, false) }
            state.isStopping = true
            return (state.thread, state.isParked)
        }
        if mustWake { wake.signal() }
        thread?.join()
    }

    private func serve(_ context: LaneContext) {
        var batch: [Item] = []
        while true {
            spin(until: { waiting.load(ordering: .acquiring) > 0 })
            let (failure, rest) = state.withLock { state -> ((any Error)?, Rest) in
                swap(&state.queue, &batch)
                waiting.store(0, ordering: .relaxed)
                guard batch.isEmpty else { return (state.failure, .work) }
                if state.isStopping { return (nil, .stop) }
                state.isParked = true
                return (nil, .sleep)
            }
            switch rest {
            case .stop: return
            case .sleep: wake.wait()
            case .work: run(&batch, on: context, failure)
            }
        }
    }

    private enum Rest { case work, sleep, stop }

    private func run(_ batch: inout [Item], on context: LaneContext, _ earlier: (any Error)?) {
        var failure = earlier
        for item in batch {
            if failure == nil {
                watchdog?.began(item.request)
                do { try item.work(context) } catch {
                    failure = error
                    state.withLock { $0.failure = error }
                }
                watchdog?.ended()
            }
            item.ticket.complete(failure)
        }
        batch.removeAll(keepingCapacity: true)
    }
}

/// Work was given to a communication lane after its shutdown.
public struct LaneStopped: Error, Sendable, Equatable, CustomStringConvertible {
    /// The work that came too late.
    public let request: CollectiveRequest

    /// One sentence.
    public var description: String { "\(request) came after the shutdown of the communication lane" }
}

/// A collective was asked for while gradients were on their way, where ranks are at different places.
public struct CollectiveInGroup: Error, Sendable, Equatable, CustomStringConvertible {
    /// The collective that was refused.
    public let request: CollectiveRequest
    /// The work it came into.
    public let group: CollectiveRequest

    /// What was refused and where it may be done.
    public var description: String {
        "\(request) was asked for during \(group), while gradients travel: gather in the step or after the backward "
            + "pass, not in onBeforeBackward or in it"
    }
}

/// A closure lent to the lane by a caller who waits.
///
/// Unchecked, by this rule: the caller touches it before the work is queued and after its ticket is done, the lane only
/// in between, and the ticket orders the two.
private final class Loan<Result>: @unchecked Sendable {
    private var work: ((LaneContext) throws -> Result)?
    private var outcome: Result?

    init(_ work: @escaping (LaneContext) throws -> Result) { self.work = work }

    func run(_ context: LaneContext) throws {
        // The closure must be gone from this thread when the ticket is done, for it does not outlive the caller.
        outcome = try work?(context)
    }

    func result() throws -> Result {
        guard let outcome else { fatalError("work done without a result") }
        return outcome
    }

    func end() { (work, outcome) = (nil, nil) }
}
