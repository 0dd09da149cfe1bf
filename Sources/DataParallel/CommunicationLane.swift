import Dispatch
import MPI
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The one place from which MPI is called once training has started.
///
/// Note [Lane]: collectives must be entered in the same order by every rank. A single first-in first-out queue, whose
/// work is done by one thread at a time, gives that order by construction and keeps MPI at the thread level SERIALIZED.
/// The lane has a thread of its own, so that gradients travel while the backward pass goes on. Who waits for work that
/// thread has not begun does it itself, with all that is queued: waking a thread and being woken by it costs more than
/// the step of a small model. When a piece of work fails, the ranks' orders can no longer be trusted: the lane does no
/// further work, and every later wait throws that first error.
public final class CommunicationLane: Sendable {
    private struct Item {
        let number: Int
        let request: CollectiveRequest
        let work: @Sendable (LaneContext) throws -> Void
    }

    private struct State {
        var queue: [Item] = []
        /// The number of the last work that was queued.
        var last = 0
        var failure: (any Error)?
        /// The thread that does the work now.
        var server: pthread_t?
        var sleepers: [(number: Int, wake: DispatchSemaphore)] = []
        var isParked = false
        var isStopping = false
        var group: CollectiveRequest?
        var thread: SystemThread?
    }

    private let state = Mutex(State())
    private let waiting = Atomic(0)
    /// The number of the last work that was done.
    private let done = Atomic(0)
    /// The number of the first work that failed, or was left undone.
    private let failed = Atomic(Int.max)
    private let wake = DispatchSemaphore(value: 0)
    private let watchdog: Watchdog?
    // Touched by the thread that is the server only; the mutex hands them on.
    private nonisolated(unsafe) let context: LaneContext
    private nonisolated(unsafe) var batch: [Item] = []

    private let reducedBytes = Atomic(0)

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
        context = LaneContext(communicator: communicator, hostname: hostname)
        let thread = SystemThread(for: "communication lane") { [self] in serve() }
        state.withLock { $0.thread = thread }
    }

    /// Whether there is no other rank.
    var isAlone: Bool { context.communicator.size == 1 }

    /// What the lane has done so far.
    public var counts: CommunicationCounts {
        CommunicationCounts(
            collectives: done.load(ordering: .acquiring), bytesReduced: reducedBytes.load(ordering: .relaxed))
    }

    /// Tells somebody from now on how long ranks work together and wait for each other, or nobody.
    package func report(to observer: (any LaneObserver)?) { context.pace.stopwatch.report(to: observer) }

    /// Notes that so many bytes of gradients were summed.
    func noteReduction(of bytes: Int) { reducedBytes.add(bytes, ordering: .relaxed) }

    /// Queues work and returns at once.
    ///
    /// - Parameters:
    ///   - request: what the work is, for the watchdog; it is not compared with the other ranks.
    ///   - atOnce: whether to begin it now. Otherwise it waits for work behind it, or for who waits for its ticket.
    ///   - work: runs on any thread, one piece at a time. Memory it points to must stay, untouched, until the ticket is
    ///     done.
    public func submit(
        _ request: CollectiveRequest, atOnce: Bool = true, _ work: @escaping @Sendable (LaneContext) throws -> Void
    ) -> Ticket {
        let (number, mustWake): (Int?, Bool) = state.withLock { state in
            guard !state.isStopping else { return (nil, false) }
            state.last += 1
            state.queue.append(Item(number: state.last, request: request, work: work))
            waiting.store(state.queue.count, ordering: .releasing)
            guard atOnce, state.isParked else { return (state.last, false) }
            state.isParked = false
            return (state.last, true)
        }
        guard let number else { return Ticket(refused: LaneStopped(request: request)) }
        if mustWake { wake.signal() }
        return Ticket(number, of: self)
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
        try withoutActuallyEscaping(work) { work in
            let loan = Loan(work)
            let ticket = submit(request, atOnce: false) { try loan.run($0) }
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

    func isDone(_ number: Int) -> Bool { done.load(ordering: .acquiring) >= number }

    /// Waits for work, or does it.
    func wait(for number: Int) throws {
        if !isDone(number) {
            context.pace.isAwaited.store(true, ordering: .relaxed)
            defer { context.pace.isAwaited.store(false, ordering: .relaxed) }
            context.pace.stopwatch.time(.wait) {
                workOff()
                spin(until: { isDone(number) })
                sleep(until: number)
            }
        }
        if number >= failed.load(ordering: .acquiring), let failure = state.withLock({ $0.failure }) { throw failure }
    }

    private func sleep(until number: Int) {
        guard !isDone(number) else { return }
        let wake = DispatchSemaphore(value: 0)
        let mustSleep = state.withLock { state in
            if let server = state.server, pthread_equal(server, pthread_self()) != 0 {
                fatalError("the lane cannot wait for itself")
            }
            guard !isDone(number) else { return false }
            state.sleepers.append((number, wake))
            return true
        }
        if mustSleep { wake.wait() }
    }

    /// What the lane's own thread does.
    private func serve() {
        while true {
            spin(until: { waiting.load(ordering: .acquiring) > 0 })
            workOff()
            let rest: Rest = state.withLock { state in
                // Another thread that is at work will do what came meanwhile, too.
                guard state.queue.isEmpty || state.server != nil else { return .work }
                if state.isStopping { return .stop }
                state.isParked = true
                return .sleep
            }
            switch rest {
            case .stop: return
            case .sleep: wake.wait()
            case .work: continue
            }
        }
    }

    private enum Rest { case work, sleep, stop }

    /// Does all work that is queued, unless another thread is at it and will do it.
    private func workOff() {
        while takeBatch() {
            for index in batch.indices { run(batch[index]) }
            batch.removeAll(keepingCapacity: true)
        }
    }

    private func takeBatch() -> Bool {
        let own = pthread_self()
        return state.withLock { state in
            if let server = state.server, pthread_equal(server, own) == 0 || !batch.isEmpty { return false }
            guard !state.queue.isEmpty else {
                state.server = nil
                return false
            }
            state.server = own
            swap(&state.queue, &batch)
            waiting.store(0, ordering: .relaxed)
            return true
        }
    }

    private func run(_ item: Item) {
        if failed.load(ordering: .relaxed) == Int.max {
            watchdog?.began(item.request)
            do { try context.pace.stopwatch.time(.work(item.request)) { try item.work(context) } } catch {
                state.withLock { $0.failure = error }
                failed.store(item.number, ordering: .releasing)
            }
            watchdog?.ended()
        }
        done.store(item.number, ordering: .releasing)
        let woken = state.withLock { state in
            guard !state.sleepers.isEmpty else { return [DispatchSemaphore]() }
            defer { state.sleepers.removeAll { $0.number <= item.number } }
            return state.sleepers.filter { $0.number <= item.number }.map(\.wake)
        }
        for sleeper in woken { sleeper.signal() }
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
