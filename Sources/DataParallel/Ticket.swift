/// The promise of one piece of work given to a communication lane.
public struct Ticket: Sendable {
    private enum Promise {
        /// The work's number in the order of the lane.
        case work(Int, CommunicationLane)
        case refused(LaneStopped)
    }

    private let promise: Promise

    init(_ number: Int, of lane: CommunicationLane) { promise = .work(number, lane) }

    init(refused error: LaneStopped) { promise = .refused(error) }

    /// Returns when the work is done; any number of callers may wait, and again.
    ///
    /// The caller does the work itself when nobody has begun with it.
    ///
    /// - Throws: the error of the work, or the first error of the lane when that came before.
    public func wait() throws {
        switch promise {
        case .work(let number, let lane): try lane.wait(for: number)
        case .refused(let error): throw error
        }
    }

    /// Whether the work is done, well or not.
    public var isComplete: Bool {
        switch promise {
        case .work(let number, let lane): lane.isDone(number)
        case .refused: true
        }
    }
}
