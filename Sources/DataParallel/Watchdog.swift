import Dispatch
import MPI
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Where the trainer is, for messages: a name and, when there are any, epoch and batch.
///
/// It is put into words only when a message is printed, so setting it every batch costs no text.
public struct TrainingPhase: Sendable, Equatable, CustomStringConvertible {
    /// What is going on: `training`, `validation`.
    public var name: String
    /// The epoch, from 0; `nil` outside epochs.
    public var epoch: Int?
    /// The batch within the epoch, from 0; `nil` outside batches.
    public var batch: Int?
    /// Whether long waits are worth a message.
    ///
    /// False where one rank works while the others rightly wait.
    public var isWatched: Bool

    /// Makes a phase from its parts.
    public init(_ name: String, epoch: Int? = nil, batch: Int? = nil, isWatched: Bool = true) {
        self.name = name
        self.epoch = epoch
        self.batch = batch
        self.isWatched = isWatched
    }

    /// For example `training epoch 3 batch 17`.
    public var description: String {
        name + (epoch.map { " epoch \($0)" } ?? "") + (batch.map { " batch \($0)" } ?? "")
    }
}

/// A thread that speaks up when the communication lane waits too long for the other ranks.
///
/// A rank that died takes the job with it; one that is merely stuck, or went another way, leaves the others waiting in
/// silence. The watchdog says, once for each piece of work, which rank waits in which collective for how long and
/// where in training; a second limit ends the job.
public final class Watchdog: Sendable {
    private static let currentPhase = Mutex(TrainingPhase("start"))

    /// Where the trainer is now.
    ///
    /// Cheap to set from any thread.
    public static var phase: TrainingPhase {
        get { currentPhase.withLock { $0 } }
        set { currentPhase.withLock { $0 = newValue } }
    }

    private struct State {
        var request: CollectiveRequest?
        var began = ContinuousClock.now
        var hasWarned = false
        var isStopping = false
        var thread: SystemThread?
    }

    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let place: String
    private let warning: Duration
    private let ending: Duration?
    private let report: @Sendable (String) -> Void
    private let abort: @Sendable () -> Void

    /// Starts watching.
    ///
    /// - Parameters:
    ///   - topology: names the rank and node in messages.
    ///   - warning: how long a piece of work may last before it is reported.
    ///   - ending: how long it may last before the job is ended; `nil` for ever.
    ///   - report: takes a message; prints a line to standard error unless given.
    ///   - abort: ends the job; `MPIEnvironment.abort` with status 1 unless given.
    public init(
        topology: Topology, warning: Duration = .seconds(60), ending: Duration? = nil,
        report: @escaping @Sendable (String) -> Void = { Watchdog.printLine($0) },
        abort: @escaping @Sendable () -> Void = { MPIEnvironment.abort(code: 1) }
    ) {
        place = "rank \(topology.globalRank)/\(topology.worldSize) \(topology.hostname)"
        self.warning = warning
        self.ending = ending
        self.report = report
        self.abort = abort
        let thread = SystemThread(for: "watchdog") { [self] in watch() }
        state.withLock { $0.thread = thread }
    }

    /// Ends the thread.
    ///
    /// A second call does nothing.
    public func stop() {
        let thread = state.withLock { state in
            defer { state.thread = nil }
            state.isStopping = true
            return state.thread
        }
        wake.signal()
        thread?.join()
    }

    func began(_ request: CollectiveRequest) {
        state.withLock { state in
            state.request = request
            state.began = ContinuousClock.now
            state.hasWarned = false
        }
    }

    func ended() { state.withLock { $0.request = nil } }

    private func watch() {
        // Looking four times within the shorter limit is prompt enough and costs nothing that can be measured.
        let limit = min(warning, ending ?? warning)
        let nanoseconds = limit.components.seconds * 1_000_000_000 + limit.components.attoseconds / 1_000_000_000
        let interval = min(1_000_000_000, max(5_000_000, nanoseconds / 4))
        while wake.wait(timeout: .now() + .nanoseconds(Int(interval))) == .timedOut {
            let (message, isOver) = look()
            if let message { report(message) }
            if isOver { return abort() }
        }
    }

    private func look() -> (message: String?, isOver: Bool) {
        let phase = Self.phase
        return state.withLock { state in
            guard !state.isStopping, phase.isWatched, let request = state.request else { return (nil, false) }
            let waited = ContinuousClock.now - state.began
            let isOver = ending.map { waited >= $0 } ?? false
            guard isOver || (waited >= warning && !state.hasWarned) else { return (nil, false) }
            state.hasWarned = true
            let consequence = isOver ? "ending the job" : "other ranks are late, stuck, or asked for something else"
            let seconds = Double(waited.components.seconds) + Double(waited.components.attoseconds) * 1e-18
            let rounded = (seconds * 10).rounded() / 10
            return ("[\(place)] waits since \(rounded) s in \(request) (phase: \(phase)); \(consequence)", isOver)
        }
    }

    /// Writes one line to standard error in a single call, so that lines of several ranks do not mix.
    public static func printLine(_ message: String) {
        let line = Array((message + "\n").utf8)
        line.withUnsafeBytes { _ = write(2, $0.baseAddress, $0.count) }
    }
}
