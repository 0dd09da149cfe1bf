import MPI

/// Small messages of the ranks of one node to each other, through memory they share.
///
/// Each rank has two places, used in turn: who writes its next message has passed a barrier that the others reach only
/// after they have read its last but one. So one barrier is all an exchange takes, and since it is a barrier, what the
/// ranks wrote elsewhere in shared memory before it is there after it.
///
/// It belongs to one thread at a time and allocates nothing after it is made.
final class MessageBoard<Message: BitwiseCopyable> {
    private let memory: SharedMemory
    private let barrier: FlagBarrier
    private let rank: Int

    private static var stride: Int { (MemoryLayout<Message>.stride + 127) / 128 * 128 }

    /// A board for a world that is one node.
    ///
    /// Collective.
    ///
    /// - Returns: `nil`, on every rank, when the world is no single node or memory cannot be shared.
    /// - Throws: `MPIError` when MPI fails.
    init?(world: Communicator, node: Communicator, pace: Pace) throws(MPIError) {
        let bytes = FlagBarrier.bytes + 2 * Self.stride
        guard world.size > 1, node.size == world.size, try world.allHaveRoom(for: node.size * max(bytes, 8192)) else {
            return nil
        }
        memory = try SharedMemory(node: node, bytesPerRank: bytes)
        barrier = FlagBarrier(memory, node: node, pace: pace)
        rank = node.rank
    }

    /// Shows a message to all ranks and calls `body` with that of each, by rank.
    func exchange(_ message: Message, _ body: (_ rank: Int, _ message: Message) -> Void) {
        let place = FlagBarrier.bytes + Int(barrier.round & 1) * Self.stride
        memory.part(of: rank).storeBytes(of: message, toByteOffset: place, as: Message.self)
        barrier.meet()
        for peer in 0..<memory.count { body(peer, memory.part(of: peer).load(fromByteOffset: place, as: Message.self)) }
    }
}

extension Communicator {
    /// Whether the file system that shared memory comes from has room for so many bytes on every node, and some to
    /// spare.
    ///
    /// Collective. Containers often have 64 MiB of it.
    func allHaveRoom(for bytes: Int) throws(MPIError) -> Bool {
        try allReduce(Int64(SharedMemory.isRoom(for: bytes) ? 1 : 0), .minimum) == 1
    }
}
