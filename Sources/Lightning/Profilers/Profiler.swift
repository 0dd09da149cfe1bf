import DataParallel
import Dispatch
import Foundation
import Synchronization

/// Takes the time of the parts of a run, on any thread.
///
/// A trainer has one only when it is asked for; see ``ProfilerKind``.
final class Profiler: Sendable {
    /// A name that time is spent under: its place among the names.
    struct Action: Sendable, Equatable { fileprivate let place: Int }

    private struct HookOfType: Hashable {
        let type: ObjectIdentifier
        let hook: Hook
    }

    private struct Total {
        var calls = 0
        var nanoseconds: UInt64 = 0
    }

    private struct State {
        var names = RunPart.allCases.map { "\($0)" }
        var places: [String: Int] = [:]
        var hooks: [HookOfType: Int] = [:]
        var totals: [Total] = []
        var origin: UInt64 = 0
        var timeline = Timeline()

        mutating func place(named name: String) -> Int {
            if let place = places[name] { return place }
            places[name] = names.count
            names.append(name)
            totals.append(Total())
            return names.count - 1
        }
    }

    let kind: ProfilerKind
    private let state: Mutex<State>

    init(_ kind: ProfilerKind) {
        self.kind = kind
        var state = State()
        for (place, name) in state.names.enumerated() { state.places[name] = place }
        state.totals = Array(repeating: Total(), count: state.names.count)
        self.state = Mutex(state)
    }

    /// Forgets everything: a run begins now.
    func begin() {
        let now = Self.now
        state.withLock { state in
            state.totals = Array(repeating: Total(), count: state.names.count)
            state.origin = now
            state.timeline = Timeline()
        }
    }

    // MARK: - Actions

    /// Nanoseconds of the system's monotonic clock.
    static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

    /// What a name stands for; the same for the same name.
    func action(named name: String) -> Action { Action(place: state.withLock { $0.place(named: name) }) }

    /// A hook of a class of callbacks or modules.
    func action(_ hook: Hook, of owner: AnyObject, _ kind: String) -> Action {
        let type: AnyObject.Type = Swift.type(of: owner)
        let key = HookOfType(type: ObjectIdentifier(type), hook: hook)
        return Action(
            place: state.withLock { state in
                if let place = state.hooks[key] { return place }
                let place = state.place(named: "[\(kind)]\(type).\(hook)")
                state.hooks[key] = place
                return place
            })
    }

    @inline(__always)
    func time<Result>(_ part: RunPart, _ body: () throws -> Result) rethrows -> Result {
        try time(Action(place: part.rawValue), body)
    }

    /// Does something and takes its time, also when it throws.
    ///
    /// - Parameter isHook: Whether it is of no interest in a trace when it took no time, as a hook that is empty.
    @inline(__always)
    func time<Result>(_ action: Action, isHook: Bool = false, _ body: () throws -> Result) rethrows -> Result {
        let began = Self.now
        defer { note(action, isHook: isHook, from: began, to: Self.now) }
        return try body()
    }

    private func note(
        _ action: Action, isHook: Bool = false, isCollective: Bool = false, from began: UInt64, to ended: UInt64
    ) {
        state.withLock { state in
            // A lane may have begun before the run did.
            guard began >= state.origin else { return }
            switch kind {
            case .simple:
                state.totals[action.place].calls += 1
                state.totals[action.place].nanoseconds += ended - began
            case .trace:
                guard !isHook || ended - began >= 1_000 else { return }
                state.timeline.add(
                    action.place, isCollective: isCollective, from: began - state.origin, to: ended - state.origin)
                guard state.timeline.isDue(at: ended - state.origin) else { return }
                write(&state)
            }
        }
    }

    // MARK: - What came of it

    /// How often and how long this rank did what, so far.
    var share: ProfileShare {
        let now = Self.now
        return state.withLock { state in
            let actions = state.totals.indices.compactMap { place -> ProfileShare.Action? in
                let total = state.totals[place]
                guard total.calls > 0 else { return nil }
                return .init(
                    name: state.names[place], calls: total.calls, seconds: Double(total.nanoseconds) * 1e-9)
            }
            return ProfileShare(seconds: Double(now - state.origin) * 1e-9, actions: actions)
        }
    }

    /// Lets the trace of this run go to a file.
    func openTrace(_ path: String, rank: Int, host: String) throws {
        try state.withLock {
            $0.timeline.file = try TraceFile(path, process: rank, named: "rank \(rank) on \(host)")
        }
    }

    /// Writes to the file what has been gathered for it.
    ///
    /// - Throws: What went wrong in writing, now or before.
    func writeTrace() throws {
        try state.withLock { state in
            write(&state)
            if let failure = state.timeline.failure { throw failure }
        }
    }

    private func write(_ state: inout State) {
        let began = Self.now
        guard state.timeline.write(names: state.names) else { return }
        state.timeline.add(RunPart.writeTrace.rawValue, from: began - state.origin, to: Self.now - state.origin)
    }
}

extension Profiler: LaneObserver {
    func observed(_ activity: LaneActivity, from began: UInt64, to ended: UInt64) {
        let action =
            switch activity {
            case .work(let request): self.action(named: "[Collective]\(request.kind) '\(request.tag)'")
            case .wait: Action(place: RunPart.waitForCollectives.rawValue)
            case .nodeBarrier: Action(place: RunPart.waitAtNodeBarrier.rawValue)
            }
        note(action, isCollective: true, from: began, to: ended)
    }
}
