import MPI
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The all-reduce of gradients among the ranks of one node, in memory they share.
///
/// Note [Node all-reduce]: the gradients of every rank lie in memory that all see. A sum is a flag barrier, one pass in
/// which each rank adds its slice of all buffers in the order of Note [Tree order] and writes it back into all of them,
/// and a flag barrier. No byte passes through MPI. The bits are those of `TreeAllReduce` over the same ranks.
///
/// It belongs to one thread and allocates nothing after `init`. A rank that waits for a flag watches it for a moment and
/// then gives its core away between looks; when another rank fails, `MPI_Abort` ends the waiting one too.
public final class NodeAllReduce {
    private let rank: Int
    private let memory: SharedMemory
    private let tree: TreeSum
    private let buffers: [UnsafeMutableRawBufferPointer]
    private let addresses: UnsafeMutablePointer<UnsafeRawPointer>
    private var round: UInt64 = 0

    /// The first bytes of each part hold its rank's flag, alone on its cache lines.
    private static let header = 128

    /// The bytes of each buffer added at once: small enough that the sum is still in cache when it is copied to the others.
    private static let blockBytes = 16 << 10

    /// Allocates a buffer of `bytes` for each rank, zeroed.
    ///
    /// Collective over `node`.
    ///
    /// - Parameter node: all ranks to sum over; they share memory (`splitShared()`).
    /// - Throws: `MPIError` when MPI fails.
    public init(node: Communicator, bytes: Int) throws(MPIError) {
        let memory = try SharedMemory(node: node, bytesPerRank: Self.header + bytes)
        self.memory = memory
        rank = node.rank
        tree = TreeSum(sources: node.size)
        buffers = (0..<node.size).map { UnsafeMutableRawBufferPointer(rebasing: memory.part(of: $0)[Self.header...]) }
        addresses = .allocate(capacity: node.size)
        for peer in 0..<node.size {
            if let start = memory.part(of: peer).baseAddress {
                (addresses + peer).initialize(to: UnsafeRawPointer(start))
            }
        }
    }

    deinit { addresses.deallocate() }

    /// This rank's buffer: gradients are written here and their sums found here.
    ///
    /// Valid until `free()`.
    public var buffer: UnsafeMutableRawBufferPointer { buffers[rank] }

    /// Gives the memory back.
    ///
    /// Collective; the buffer may not be used afterwards.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public func free() throws(MPIError) { try memory.free() }

    /// Replaces 32-bit floats of the buffer by their sums over all ranks.
    ///
    /// Collective; the same range on every rank.
    ///
    /// - Parameter range: in elements from the start of the buffer.
    public func sumFloats(_ range: Range<Int>) { sum(Float.self, range) }

    /// Replaces 64-bit floats of the buffer by their sums over all ranks.
    ///
    /// Collective; the same range on every rank.
    ///
    /// - Parameter range: in elements from the start of the buffer.
    public func sumDoubles(_ range: Range<Int>) { sum(Double.self, range) }

    private func sum<Element: TreeSummable>(_ element: Element.Type, _ range: Range<Int>) {
        let stride = MemoryLayout<Element>.stride
        guard range.lowerBound >= 0, range.upperBound * stride <= buffer.count else {
            fatalError("a sum over elements \(range) of a buffer of \(buffer.count / stride)")
        }
        guard buffers.count > 1 else { return }
        meet()
        // Slices are whole cache lines of the memory, so that no two ranks write the same line.
        let lines = (range.lowerBound * stride) / 64..<(range.upperBound * stride + 63) / 64
        let width = (lines.count + buffers.count - 1) / buffers.count
        let first = max(range.lowerBound, (lines.lowerBound + rank * width) * 64 / stride)
        let last = min(range.upperBound, (lines.lowerBound + (rank + 1) * width) * 64 / stride)
        var index = first
        while index < last {
            let count = min(Self.blockBytes / stride, last - index)
            sumBlock(element, at: index * stride, count: count)
            index += count
        }
        meet()
    }

    private func sumBlock<Element: TreeSummable>(_ element: Element.Type, at offset: Int, count: Int) {
        for peer in buffers.indices {
            if let start = buffers[peer].baseAddress { addresses[peer] = UnsafeRawPointer(start + offset) }
        }
        guard let own = buffers[rank].baseAddress else { return }
        let result = (own + offset).assumingMemoryBound(to: Element.self)
        addresses.withMemoryRebound(to: UnsafePointer<Element>.self, capacity: buffers.count) {
            tree.sumTree($0, count: count, into: result)
        }
        for peer in buffers.indices where peer != rank {
            (buffers[peer].baseAddress)?.advanced(by: offset).copyMemory(
                from: result, byteCount: count * MemoryLayout<Element>.stride)
        }
    }

    /// The flag barrier: raises this rank's flag to the next round and waits until all have.
    ///
    /// Flags only grow, so a rank that is already a round ahead has passed this one.
    private func meet() {
        round += 1
        flag(of: rank).pointee.store(round, ordering: .releasing)
        for peer in buffers.indices where peer != rank {
            let other = flag(of: peer)
            spin(until: { other.pointee.load(ordering: .acquiring) >= round })
            while other.pointee.load(ordering: .acquiring) < round { sched_yield() }
        }
    }

    private func flag(of peer: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        guard let start = memory.part(of: peer).baseAddress else { fatalError("shared memory without an address") }
        return start.assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}
