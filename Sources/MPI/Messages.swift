import CMPI

/// The tags this library keeps for itself; messages of users have tags below them.
enum ReservedTag: Int32 {
    // MPI promises tags up to 32767 and no more.
    case gather = 32765
    case allToAll = 32766
    case firstReserved = 32760
}

/// Messages under way: sends and receives posted together, in pieces no longer than MPI's counts, then awaited together.
///
/// Whoever makes it owns the room for the requests. The first failing call is remembered and silences the later ones.
struct Messages {
    let communicator: Communicator
    let tag: Int32
    let requests: UnsafeMutableBufferPointer<CMPIRequest>
    var posted = 0
    var code = cmpi_success()
    // A message to oneself is a copy; MPI would refuse one whose two buffers are the same.
    var fromSelf: UnsafeMutableRawBufferPointer?

    /// Posts the receive of all of `bytes` from a rank.
    ///
    /// The receive from oneself comes before the send to oneself.
    mutating func receive(_ bytes: UnsafeMutableRawBufferPointer, from peer: Int) {
        if peer == communicator.rank {
            fromSelf = bytes
            return
        }
        for offset in stride(from: 0, to: bytes.count, by: communicator.chunkLimit) where code == cmpi_success() {
            let count = Int32(min(communicator.chunkLimit, bytes.count - offset))
            code = MPI_Irecv(
                bytes.baseAddress.map { $0 + offset }, count, cmpi_byte(), Int32(peer), tag, communicator.handle.comm,
                &requests[posted].request)
            posted += 1
        }
    }

    /// Posts the send of all of `bytes` to a rank.
    mutating func send(_ bytes: UnsafeRawBufferPointer, to peer: Int) {
        if peer == communicator.rank {
            if let fromSelf, fromSelf.baseAddress.map({ UnsafeRawPointer($0) }) != bytes.baseAddress {
                fromSelf.copyMemory(from: bytes)
            }
            return
        }
        for offset in stride(from: 0, to: bytes.count, by: communicator.chunkLimit) where code == cmpi_success() {
            let count = Int32(min(communicator.chunkLimit, bytes.count - offset))
            code = MPI_Isend(
                bytes.baseAddress.map { $0 + offset }, count, cmpi_byte(), Int32(peer), tag, communicator.handle.comm,
                &requests[posted].request)
            posted += 1
        }
    }
}

extension Messages {
    /// Posts what ``Communicator/allToAllVariable(_:_:into:_:)`` exchanges, receives first.
    mutating func exchangeAll(
        _ outgoing: UnsafeRawBufferPointer, _ sending: RankLayout, into incoming: UnsafeMutableRawBufferPointer,
        _ receiving: RankLayout
    ) {
        let (rank, size) = (communicator.rank, communicator.size)
        for distance in 0..<size {
            let peer = (rank + size - distance) % size
            let part = receiving.offsets[peer]..<(receiving.offsets[peer] + receiving.counts[peer])
            receive(UnsafeMutableRawBufferPointer(rebasing: incoming[part]), from: peer)
        }
        for distance in 0..<size {
            let peer = (rank + distance) % size
            let part = sending.offsets[peer]..<(sending.offsets[peer] + sending.counts[peer])
            send(UnsafeRawBufferPointer(rebasing: outgoing[part]), to: peer)
        }
    }
}

extension Communicator {
    /// The number of MPI calls a message of `count` bytes takes.
    func pieces(of count: Int) -> Int { (count + chunkLimit - 1) / chunkLimit }

    /// Posts messages and waits for all of them.
    ///
    /// When a call fails, messages already posted stay in flight; the job ends on an `MPIError`, so nobody reuses them.
    func exchange(pieces: Int, tag: Int32, _ post: (inout Messages) -> Void) throws(MPIError) {
        let code = withUnsafeTemporaryAllocation(of: CMPIRequest.self, capacity: max(1, pieces)) { requests in
            requests.initialize(repeating: CMPIRequest())
            var messages = Messages(communicator: self, tag: tag, requests: requests)
            post(&messages)
            guard messages.code == cmpi_success(), messages.posted > 0 else { return messages.code }
            return cmpi_wait_all(Int32(messages.posted), requests.baseAddress)
        }
        try checked(code, "MPI_Waitall", "\(place), \(pieces) messages with tag \(tag)")
    }

    func exchange(pieces: Int, tag: ReservedTag, _ post: (inout Messages) -> Void) throws(MPIError) {
        try exchange(pieces: pieces, tag: tag.rawValue, post)
    }
}
