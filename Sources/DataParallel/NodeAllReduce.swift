import MPI
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The all-reduce of gradients in memory that the ranks of a node share, and across nodes by slices.
///
/// Note [Node all-reduce]: the gradients of every rank lie in memory that all ranks of the node see. A sum is a flag
/// barrier, one pass in which each rank adds its slice of all buffers in the order of Note [Tree order] and writes it
/// back into all of them, and a flag barrier. Within a node no byte passes through MPI. With several nodes each rank
/// sums its slice with those of its counterparts, the ranks of the same local number, before it writes it back. The
/// bits are those of `TreeAllReduce` over all ranks, because the ranks of a node form a subtree: their number is
/// a power of two, equal on all nodes, and they are neighbours in the world.
///
/// It belongs to one thread and in steady state allocates nothing. A rank that waits for a flag watches it for a moment
/// and then gives its core away between looks, and soon sleeps between them; when another rank fails, `MPI_Abort` ends the waiting one too.
public final class NodeAllReduce {
    private let rank: Int
    private let memory: SharedMemory
    private let tree: TreeSum
    private let buffers: [UnsafeMutableRawBufferPointer]
    private let addresses: UnsafeMutablePointer<UnsafeRawPointer>
    private let acrossNodes: TreeAllReduce?
    private var round: UInt64 = 0

    /// The first bytes of each part hold its rank's flag, alone on its cache lines.
    private static let header = 128

    /// How often a waiting rank gives its core away before it sleeps: yielding takes the core from a thread that computes
    /// every other time, and a long wait is for a rank that is still in its backward pass.
    private static let mostYields = 100
    /// Microseconds of such a sleep.
    private static let nap: UInt32 = 50

    /// The bytes of each buffer added at once: small enough that the sum is still in cache when it is copied to the others.
    private static let blockBytes = 16 << 10

    /// Allocates a buffer of `bytes` for each rank, zeroed.
    ///
    /// Collective over `world`.
    ///
    /// - Parameters:
    ///   - world: all ranks to sum over.
    ///   - node: those that share memory with this one, from `world.splitShared()`.
    ///   - bytes: the same on every rank.
    /// - Returns: `nil`, on every rank, when the ranks of the nodes are no subtrees; `TreeAllReduce` serves then.
    /// - Throws: `MPIError` when MPI fails.
    public convenience init?(world: Communicator, node: Communicator, bytes: Int) throws(MPIError) {
        let places = try world.allGather([Int64(node.rank), Int64(node.size)])
        guard Self.nodesAreSubtrees(places.map { (rank: Int($0[0]), size: Int($0[1])) }) else { return nil }
        let counterparts = node.size == world.size ? nil : try world.split(color: node.rank)
        try self.init(node: node, counterparts: counterparts, bytes: bytes)
    }

    /// Whether summing inside nodes first follows the tree of all ranks, given each rank's local number and node size.
    static func nodesAreSubtrees(_ places: [(rank: Int, size: Int)]) -> Bool {
        guard let size = places.first?.size else { return false }
        if size == places.count { return places.enumerated().allSatisfy { $0.offset == $0.element.rank } }
        return size.nonzeroBitCount == 1
            && places.enumerated().allSatisfy { $0.element.size == size && $0.element.rank == $0.offset % size }
    }

    private init(node: Communicator, counterparts: Communicator?, bytes: Int) throws(MPIError) {
        let memory = try SharedMemory(node: node, bytesPerRank: Self.header + bytes)
        self.memory = memory
        rank = node.rank
        acrossNodes = counterparts.map { TreeAllReduce(communicator: $0) }
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
    /// - Throws: `MPIError` when MPI fails, which only happens with several nodes.
    public func sumFloats(_ range: Range<Int>) throws(MPIError) {
        guard let slice = begin(Float.self, range) else { return }
        if let acrossNodes {
            inBlocks(slice) { addUp($0) }
            try acrossNodes.sum(own(slice))
            inBlocks(slice) { handOut($0) }
        } else {
            inBlocks(slice) {
                addUp($0); handOut($0)
            }
        }
        meet()
    }

    /// Replaces 64-bit floats of the buffer by their sums over all ranks.
    ///
    /// Collective; the same range on every rank.
    ///
    /// - Parameter range: in elements from the start of the buffer.
    /// - Throws: `MPIError` when MPI fails, which only happens with several nodes.
    public func sumDoubles(_ range: Range<Int>) throws(MPIError) {
        guard let slice = begin(Double.self, range) else { return }
        if let acrossNodes {
            inBlocks(slice) { addUp($0) }
            try acrossNodes.sum(own(slice))
            inBlocks(slice) { handOut($0) }
        } else {
            inBlocks(slice) {
                addUp($0); handOut($0)
            }
        }
        meet()
    }

    /// Elements of every buffer, by place.
    private struct Slice<Element> {
        var first: Int
        var count: Int
    }

    /// Waits until all gradients are there and says which slice is this rank's; `nil` when there is nobody to sum with.
    private func begin<Element>(_ element: Element.Type, _ range: Range<Int>) -> Slice<Element>? {
        let stride = MemoryLayout<Element>.stride
        guard range.lowerBound >= 0, range.upperBound * stride <= buffer.count else {
            fatalError("a sum over elements \(range) of a buffer of \(buffer.count / stride)")
        }
        guard buffers.count > 1 || acrossNodes != nil else { return nil }
        meet()
        // Slices are whole cache lines of the memory, so that no two ranks write the same line.
        let lines = (range.lowerBound * stride) / 64..<(range.upperBound * stride + 63) / 64
        let width = (lines.count + buffers.count - 1) / buffers.count
        let first = max(range.lowerBound, (lines.lowerBound + rank * width) * 64 / stride)
        let last = min(range.upperBound, (lines.lowerBound + (rank + 1) * width) * 64 / stride)
        return Slice(first: first, count: max(0, last - first))
    }

    private func inBlocks<Element>(_ slice: Slice<Element>, _ body: (Slice<Element>) -> Void) {
        var block = slice
        let end = slice.first + slice.count
        while block.first < end {
            block.count = min(Self.blockBytes / MemoryLayout<Element>.stride, end - block.first)
            body(block)
            block.first += block.count
        }
    }

    /// This rank's buffer there becomes the sum over the ranks of the node.
    private func addUp<Element: TreeSummable>(_ block: Slice<Element>) {
        let offset = block.first * MemoryLayout<Element>.stride
        for peer in buffers.indices {
            if let start = buffers[peer].baseAddress { addresses[peer] = UnsafeRawPointer(start + offset) }
        }
        guard let result = own(block).baseAddress else { return }
        addresses.withMemoryRebound(to: UnsafePointer<Element>.self, capacity: buffers.count) {
            tree.sumTree($0, count: block.count, into: result)
        }
    }

    /// What this rank's buffer holds there goes into all buffers of the node.
    private func handOut<Element>(_ block: Slice<Element>) {
        guard let result = own(block).baseAddress else { return }
        let stride = MemoryLayout<Element>.stride
        for peer in buffers.indices where peer != rank {
            (buffers[peer].baseAddress)?.advanced(by: block.first * stride).copyMemory(
                from: result, byteCount: block.count * stride)
        }
    }

    private func own<Element>(_ slice: Slice<Element>) -> UnsafeMutableBufferPointer<Element> {
        let start = buffers[rank].baseAddress?.assumingMemoryBound(to: Element.self)
        return UnsafeMutableBufferPointer(start: start.map { $0 + slice.first }, count: slice.count)
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
            var yields = 0
            while other.pointee.load(ordering: .acquiring) < round {
                if yields < Self.mostYields { sched_yield() } else { usleep(Self.nap) }
                yields += 1
            }
        }
    }

    private func flag(of peer: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        guard let start = memory.part(of: peer).baseAddress else { fatalError("shared memory without an address") }
        return start.assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}
