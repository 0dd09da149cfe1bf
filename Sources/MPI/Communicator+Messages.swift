import CMPI

extension Communicator {
    /// Sends bytes to a rank that receives exactly as many.
    ///
    /// - Parameter tag: 0...32759; separates messages of different meaning between the same two ranks.
    /// - Throws: `MPIError` when MPI fails, or `peer` or `tag` is out of range.
    public func send(_ bytes: UnsafeRawBufferPointer, to peer: Int, tag: Int = 0) throws(MPIError) {
        let tag = try check(peer, tag, #function)
        // A message of no bytes is sent too: the other side may wait for it as a signal.
        var offset = 0
        repeat {
            let count = min(chunkLimit, bytes.count - offset)
            try checked(
                MPI_Send(
                    bytes.baseAddress.map { $0 + offset }, Int32(count), cmpi_byte(), Int32(peer), tag, handle.comm),
                "MPI_Send", "\(place), to rank \(peer), tag \(tag), \(count) bytes at \(offset) of \(bytes.count)")
            offset += count
        } while offset < bytes.count
    }

    /// Receives bytes from a rank, filling the buffer.
    ///
    /// - Parameter tag: 0...32759, the tag the sender gave.
    /// - Throws: `MPIError` when MPI fails, `peer` or `tag` is out of range, or fewer bytes arrive than asked for.
    public func receive(_ bytes: UnsafeMutableRawBufferPointer, from peer: Int, tag: Int = 0) throws(MPIError) {
        let tag = try check(peer, tag, #function)
        var offset = 0
        repeat {
            let count = min(chunkLimit, bytes.count - offset)
            let context = {
                "\(self.place), from rank \(peer), tag \(tag), \(count) bytes at \(offset) of \(bytes.count)"
            }
            var received: Int32 = 0
            try checked(
                cmpi_receive(
                    bytes.baseAddress.map { $0 + offset }, Int32(count), Int32(peer), tag, handle, &received),
                "MPI_Recv", context())
            try require(Int(received) == count, "only \(received) bytes arrived", in: "MPI_Recv", context())
            offset += count
        } while offset < bytes.count
    }

    /// Sends to one rank and receives from another at once, which cannot deadlock in a ring.
    ///
    /// Both sides know the sizes; it pairs with `sendReceive` on the other ranks.
    ///
    /// - Parameter tag: 0...32759.
    /// - Throws: `MPIError` when MPI fails or a rank or the tag is out of range.
    public func sendReceive(
        _ outgoing: UnsafeRawBufferPointer, to destination: Int, _ incoming: UnsafeMutableRawBufferPointer,
        from source: Int, tag: Int = 0
    ) throws(MPIError) {
        let mpiTag = try check(destination, tag, #function)
        _ = try check(source, tag, #function)
        try exchange(pieces: pieces(of: outgoing.count) + pieces(of: incoming.count), tag: mpiTag) { messages in
            messages.receive(incoming, from: source)
            messages.send(outgoing, to: destination)
        }
    }

    /// Sends a part of one buffer to every rank and receives a part of another from every rank.
    ///
    /// The bytes rank a sends to rank b are as many as b expects from a. A rank's message to itself is a copy, left
    /// out when both places are the same.
    /// - Parameters:
    ///   - outgoing: the bytes to send, laid out by receiving rank.
    ///   - sending: where each receiver's bytes lie in `outgoing`.
    ///   - incoming: room for the bytes that come.
    ///   - receiving: where each sender's bytes go in `incoming`.
    /// - Throws: `MPIError` when MPI fails or the sizes do not fit.
    public func allToAllVariable(
        _ outgoing: UnsafeRawBufferPointer, _ sending: RankLayout, into incoming: UnsafeMutableRawBufferPointer,
        _ receiving: RankLayout
    ) throws(MPIError) {
        try check(outgoing.count, sending, incoming.count, receiving, #function)
        // Plain messages rather than MPI_Alltoallv: offsets need not fit 32 bits, and whether a pair's message is cut
        // into pieces is known to both of its ends without asking the others.
        try exchange(pieces: pieces(of: sending, receiving), tag: .allToAll) {
            $0.exchangeAll(outgoing, sending, into: incoming, receiving)
        }
    }

    /// The number of MPI calls an exchange of all with all takes.
    func pieces(of sending: RankLayout, _ receiving: RankLayout) -> Int {
        var count = 0
        for peer in 0..<size { count += pieces(of: sending.counts[peer]) + pieces(of: receiving.counts[peer]) }
        return count
    }

    /// Whether layouts are for these ranks and buffers.
    func check(
        _ outgoing: Int, _ sending: RankLayout, _ incoming: Int, _ receiving: RankLayout, _ function: StaticString
    ) throws(MPIError) {
        try require(
            sending.counts.count == size && receiving.counts.count == size, "a layout for another number of ranks",
            in: function, place)
        try require(
            outgoing >= sending.extent && incoming >= receiving.extent,
            "buffers of \(outgoing) and \(incoming) bytes for \(sending.extent) and \(receiving.extent)",
            in: function, place)
    }

    private func check(_ peer: Int, _ tag: Int, _ function: StaticString) throws(MPIError) -> Int32 {
        try require((0..<size).contains(peer), "\(peer) is not a rank", in: function, place)
        let limit = Int(ReservedTag.firstReserved.rawValue)
        try require((0..<limit).contains(tag), "tag \(tag) is outside 0..<\(limit)", in: function, place)
        return Int32(tag)
    }
}
