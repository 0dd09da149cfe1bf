import MPI
import Tensors

/// The all-reduce of gradients in memory that the ranks of a node share, and across nodes by slices.
///
/// Note [Node all-reduce]: the gradients of every rank lie in memory that all ranks of the node see. A sum is a flag
/// barrier, one pass in which each rank adds its slice of all buffers in the order of Note [Tree order] and writes it
/// back into all of them, and a flag barrier. Within a node no byte passes through MPI. With several nodes each rank
/// sums its slice with those of its counterparts, the ranks of the same local number, before it writes it back. The
/// bits are those of `TreeAllReduce` over all ranks, because the ranks of a node form a subtree: their number is
/// a power of two, equal on all nodes, and they are neighbours in the world.
///
/// It belongs to one thread at a time and in steady state allocates nothing.
public final class NodeAllReduce {
    private let rank: Int
    private let memory: SharedMemory
    private let tree: TreeSum
    private let buffers: [UnsafeMutableRawBufferPointer]
    private let addresses: UnsafeMutablePointer<UnsafeRawPointer>
    private let acrossNodes: TreeAllReduce?
    private let barrier: FlagBarrier

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
        try self.init(world: world, node: node, bytes: bytes, pace: Pace())
    }

    convenience init?(world: Communicator, node: Communicator, bytes: Int, pace: Pace) throws(MPIError) {
        let places = try world.allGather([Int64(node.rank), Int64(node.size)])
        guard Self.nodesAreSubtrees(places.map { (rank: Int($0[0]), size: Int($0[1])) }) else { return nil }
        let counterparts = node.size == world.size ? nil : try world.split(color: node.rank)
        try self.init(node: node, counterparts: counterparts, bytes: bytes, pace: pace)
    }

    /// Whether all ranks are on one node.
    var isOneNode: Bool { acrossNodes == nil }

    /// Whether summing inside nodes first follows the tree of all ranks, given each rank's local number and node size.
    static func nodesAreSubtrees(_ places: [(rank: Int, size: Int)]) -> Bool {
        guard let size = places.first?.size else { return false }
        if size == places.count { return places.enumerated().allSatisfy { $0.offset == $0.element.rank } }
        return size.nonzeroBitCount == 1
            && places.enumerated().allSatisfy { $0.element.size == size && $0.element.rank == $0.offset % size }
    }

    private init(node: Communicator, counterparts: Communicator?, bytes: Int, pace: Pace) throws(MPIError) {
        let memory = try SharedMemory(node: node, bytesPerRank: FlagBarrier.bytes + bytes)
        self.memory = memory
        barrier = FlagBarrier(memory, node: node, pace: pace)
        rank = node.rank
        acrossNodes = counterparts.map { TreeAllReduce(communicator: $0) }
        tree = TreeSum(sources: node.size)
        buffers = (0..<node.size).map {
            UnsafeMutableRawBufferPointer(rebasing: memory.part(of: $0)[FlagBarrier.bytes...])
        }
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
    /// Collective; the same arguments on every rank.
    ///
    /// - Parameters:
    ///   - range: In elements from the start of the buffer.
    ///   - factor: What the sums are multiplied by.
    /// - Throws: `MPIError` when MPI fails, which only happens with several nodes.
    public func sumFloats(_ range: Range<Int>, times factor: Double = 1) throws(MPIError) {
        try sum(range, of: Float.self, times: factor)
    }

    /// Replaces 64-bit floats of the buffer by their sums over all ranks; otherwise as ``sumFloats(_:times:)``.
    ///
    /// - Throws: `MPIError` when MPI fails, which only happens with several nodes.
    public func sumDoubles(_ range: Range<Int>, times factor: Double = 1) throws(MPIError) {
        try sum(range, of: Double.self, times: factor)
    }

    /// The sum of elements of one type; `haveMet` when all ranks are known to have written theirs.
    func sum<Element: TreeSummable>(
        _ range: Range<Int>, of type: Element.Type, times factor: Double, haveMet: Bool = false
    ) throws(MPIError) {
        let slice = slice(of: range, Element.self)
        guard buffers.count > 1 || acrossNodes != nil else { return own(slice).scale(by: factor) }
        if !haveMet { barrier.meet() }
        if let acrossNodes {
            inBlocks(slice) { addUp($0) }
            try acrossNodes.sum(all: own(slice), times: factor)
            inBlocks(slice) { handOut($0) }
        } else {
            inBlocks(slice) {
                addUp($0)
                own($0).scale(by: factor)
                handOut($0)
            }
        }
        barrier.meet()
    }

    /// Elements of every buffer, by place.
    private struct Slice<Element> {
        var first: Int
        var count: Int
    }

    /// Which slice of a range this rank sums.
    private func slice<Element: TreeSummable>(of range: Range<Int>, _ element: Element.Type) -> Slice<Element> {
        let stride = MemoryLayout<Element>.stride
        guard range.lowerBound >= 0, range.upperBound * stride <= buffer.count else {
            fatalError("a sum over elements \(range) of a buffer of \(buffer.count / stride)")
        }
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
}
