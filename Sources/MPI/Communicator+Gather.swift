import CMPI

/// Where each rank's bytes lie in one buffer: counts and offsets in bytes, by rank.
///
/// A layout is made once and used for many calls; offsets are full integers, so a layout may be larger than MPI's
/// 32-bit counts.
public struct RankLayout: Sendable, Equatable {
    /// The number of bytes of each rank.
    public let counts: [Int]

    /// The offset in bytes of each rank's part from the start of the buffer.
    public let offsets: [Int]

    /// The number of bytes of all ranks.
    public let total: Int

    /// The end of the part that ends last, in bytes.
    public let extent: Int

    /// The parts of the ranks one after the other without gaps.
    ///
    /// Counts are in bytes.
    public init(counts: [Int]) {
        var offsets: [Int] = []
        offsets.reserveCapacity(counts.count)
        var end = 0
        for count in counts {
            offsets.append(end)
            end += count
        }
        self.init(counts: counts, offsets: offsets)
    }

    /// Parts with these counts at these offsets, both in bytes and one for each rank.
    public init(counts: [Int], offsets: [Int]) {
        self.counts = counts
        self.offsets = offsets
        total = counts.reduce(0, +)
        extent = zip(counts, offsets).reduce(0) { max($0, $1.0 + $1.1) }
    }
}

extension Communicator {
    /// Gathers the same number of bytes from every rank into every rank, in rank order.
    ///
    /// - Parameters:
    ///   - bytes: this rank's bytes; the same count on every rank.
    ///   - result: room for `size` times as many.
    /// - Throws: `MPIError` when MPI fails or `result` has another size.
    public func allGather(_ bytes: UnsafeRawBufferPointer, into result: UnsafeMutableRawBufferPointer) throws(MPIError)
    {
        try require(
            result.count == bytes.count * size, "a result of \(result.count) bytes for \(size) times \(bytes.count)",
            in: #function, place)
        guard bytes.count > 0 else { return }
        guard result.count <= chunkLimit else {
            let layout = RankLayout(counts: Array(repeating: bytes.count, count: size))
            return try gatherInPieces(bytes, into: result, layout: layout, roots: 0..<size)
        }
        try checked(
            MPI_Allgather(
                bytes.baseAddress, Int32(bytes.count), cmpi_byte(), result.baseAddress, Int32(bytes.count), cmpi_byte(),
                handle.comm),
            "MPI_Allgather", "\(place), \(bytes.count) bytes from each")
    }

    /// Gathers a different number of bytes from every rank into every rank.
    ///
    /// - Parameters:
    ///   - bytes: this rank's bytes, `layout.counts[rank]` of them; `nil` when they already lie in their place in
    ///     `result` (every rank must then give `nil`).
    ///   - result: room for `layout.extent` bytes.
    ///   - layout: the same on every rank.
    /// - Throws: `MPIError` when MPI fails or the sizes do not fit.
    public func allGatherVariable(
        _ bytes: UnsafeRawBufferPointer?, into result: UnsafeMutableRawBufferPointer, layout: RankLayout
    ) throws(MPIError) {
        try check(bytes?.count, result.count, layout, #function)
        guard layout.total > 0 else { return }
        guard layout.extent <= chunkLimit else {
            let own = bytes ?? part(of: UnsafeRawBufferPointer(result), layout)
            return try gatherInPieces(own, into: result, layout: layout, roots: 0..<size)
        }
        let source = bytes.map { $0.baseAddress } ?? UnsafeRawPointer(cmpi_in_place())
        let code = withNarrow(layout) { counts, offsets in
            MPI_Allgatherv(
                source, counts[rank], cmpi_byte(), result.baseAddress, counts.baseAddress, offsets.baseAddress,
                cmpi_byte(),
                handle.comm)
        }
        try checked(code, "MPI_Allgatherv", "\(place), \(layout.counts[rank]) of \(layout.total) bytes")
    }

    /// Gathers a different number of bytes from every rank into `root`.
    ///
    /// - Parameters:
    ///   - bytes: this rank's bytes, `layout.counts[rank]` of them.
    ///   - result: room for `layout.extent` bytes on `root`; empty elsewhere.
    ///   - layout: the same on every rank.
    ///   - root: the receiving rank.
    /// - Throws: `MPIError` when MPI fails, `root` is not a rank or the sizes do not fit.
    public func gatherVariable(
        _ bytes: UnsafeRawBufferPointer, into result: UnsafeMutableRawBufferPointer, layout: RankLayout, root: Int
    ) throws(MPIError) {
        try require((0..<size).contains(root), "root \(root) is not a rank", in: #function, place)
        try check(bytes.count, rank == root ? result.count : layout.extent, layout, #function)
        guard layout.total > 0 else { return }
        guard layout.extent <= chunkLimit else {
            return try gatherInPieces(bytes, into: result, layout: layout, roots: root..<(root + 1))
        }
        let code = withNarrow(layout) { counts, offsets in
            MPI_Gatherv(
                bytes.baseAddress, counts[rank], cmpi_byte(), result.baseAddress, counts.baseAddress,
                offsets.baseAddress,
                cmpi_byte(), Int32(root), handle.comm)
        }
        try checked(code, "MPI_Gatherv", "\(place), root \(root), \(layout.counts[rank]) of \(layout.total) bytes")
    }

    private func check(_ own: Int?, _ room: Int, _ layout: RankLayout, _ function: StaticString) throws(MPIError) {
        try require(
            layout.counts.count == size && layout.offsets.count == size, "a layout for \(layout.counts.count) ranks",
            in: function, place)
        try require(
            own.map { $0 == layout.counts[rank] } ?? true,
            "\(own ?? 0) bytes where the layout has \(layout.counts[rank])", in: function, place)
        try require(
            room >= layout.extent, "a result of \(room) bytes for \(layout.extent)", in: function, place)
    }

    private func part(of buffer: UnsafeRawBufferPointer, _ layout: RankLayout) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: buffer[layout.offsets[rank]..<(layout.offsets[rank] + layout.counts[rank])])
    }

    /// Counts and offsets as MPI's 32-bit integers, for layouts that fit.
    private func withNarrow(
        _ layout: RankLayout, _ body: (UnsafeMutableBufferPointer<Int32>, UnsafeMutableBufferPointer<Int32>) -> Int32
    ) -> Int32 {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: 2 * size) { numbers in
            let counts = UnsafeMutableBufferPointer(rebasing: numbers[..<size])
            let offsets = UnsafeMutableBufferPointer(rebasing: numbers[size...])
            for peer in 0..<size {
                counts.initializeElement(at: peer, to: Int32(layout.counts[peer]))
                offsets.initializeElement(at: peer, to: Int32(layout.offsets[peer]))
            }
            return body(counts, offsets)
        }
    }

    /// A gather too large for 32-bit offsets: plain messages in pieces to every root.
    private func gatherInPieces(
        _ bytes: UnsafeRawBufferPointer, into result: UnsafeMutableRawBufferPointer, layout: RankLayout,
        roots: Range<Int>
    ) throws(MPIError) {
        let receiving = roots.contains(rank)
        let incoming = receiving ? layout.counts.reduce(0) { $0 + pieces(of: $1) } : 0
        try exchange(pieces: incoming + roots.count * pieces(of: bytes.count), tag: .gather) { messages in
            if receiving {
                for peer in 0..<size {
                    let part = layout.offsets[peer]..<(layout.offsets[peer] + layout.counts[peer])
                    messages.receive(UnsafeMutableRawBufferPointer(rebasing: result[part]), from: peer)
                }
            }
            for root in roots { messages.send(bytes, to: root) }
        }
    }
}
