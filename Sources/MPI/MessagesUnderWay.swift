import CMPI

/// An exchange of all ranks with all that goes on while its owner does something else.
///
/// Exchanges must be begun in the same order by every rank. It belongs to one thread at a time and, once it has seen
/// the largest exchange, allocates nothing.
public final class MessagesUnderWay {
    private let communicator: Communicator
    private var requests = UnsafeMutableBufferPointer<CMPIRequest>(start: nil, count: 0)
    private var posted = 0

    /// Room for one exchange at a time.
    public init(communicator: Communicator) { self.communicator = communicator }

    deinit { requests.deallocate() }

    /// Begins what ``Communicator/allToAllVariable(_:_:into:_:)`` does; the buffers are MPI's until ``wait()``.
    ///
    /// An exchange begun before is awaited first.
    ///
    /// - Throws: `MPIError` when MPI fails or the sizes do not fit.
    public func exchangeAll(
        _ outgoing: UnsafeRawBufferPointer, _ sending: RankLayout, into incoming: UnsafeMutableRawBufferPointer,
        _ receiving: RankLayout
    ) throws(MPIError) {
        try wait()
        try communicator.check(outgoing.count, sending, incoming.count, receiving, #function)
        let pieces = communicator.pieces(of: sending, receiving)
        if pieces > requests.count {
            requests.deallocate()
            requests = .allocate(capacity: pieces)
        }
        requests.initialize(repeating: CMPIRequest())
        var messages = Messages(
            communicator: communicator, tag: ReservedTag.allToAll.rawValue, requests: requests)
        messages.exchangeAll(outgoing, sending, into: incoming, receiving)
        posted = messages.posted
        try checked(messages.code, "MPI_Isend", "\(communicator.place), \(pieces) messages to and from all ranks")
    }

    /// Returns when the exchange is over, at once when there is none.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public func wait() throws(MPIError) {
        guard posted > 0 else { return }
        let count = Int32(posted)
        posted = 0
        try checked(
            cmpi_wait_all(count, requests.baseAddress), "MPI_Waitall",
            "\(communicator.place), \(count) messages to and from all ranks")
    }
}
