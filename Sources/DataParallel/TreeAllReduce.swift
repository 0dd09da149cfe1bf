import MPI
import Tensors

/// The all-reduce of gradients: sums a buffer over all ranks in one fixed binary tree over rank index.
///
/// MPI's own all-reduce picks an algorithm by size and world, and with it an order of additions. Here the order is
/// that of Note [Tree order] with the ranks as sources, whatever carries the bytes: every rank ends with the same
/// bits, and the same bits come out of any code that adds the same sources by the same tree.
///
/// Small buffers are gathered whole by everyone and summed locally (one message time). Larger ones go in pieces: each
/// rank owns a slice of a piece, receives the others' versions of it, sums, and hands the sum to the others. While it
/// sums one piece, the slices of the next and the sums of the last are under way.
///
/// It belongs to one thread at a time, keeps its scratch memory, and in steady state (sizes seen before) allocates nothing.
public final class TreeAllReduce {
    /// The buffers gathered whole unless told otherwise, in bytes: up to 64 KiB from all ranks together.
    ///
    /// Measured on one node: with two ranks both ways take equal time at 64 KiB a rank and gathering whole wins from 8 to
    /// 32 KiB; with four they are equal at 32 KiB. The time of gathering whole grows with the number of ranks.
    public static func defaultSmallLimit(ranks: Int) -> Int { max(1 << 10, (64 << 10) / ranks) }

    /// Larger buffers travel in pieces of this many bytes, unless told otherwise.
    ///
    /// Measured with two ranks on one node, by messages: 64 MiB take 22.9 ms in pieces of 64 KiB, 15.6 of 256 KiB, 13.3 of
    /// 1 MiB, 12.2 of 2 and 11.9 of 4. What is under way meanwhile gains nothing there, where the cores themselves copy
    /// the messages; it is for networks.
    public static let defaultPieceBytes = 2 << 20

    private let communicator: Communicator
    private let smallLimit: Int
    private let pieceBytes: Int
    private let tree: TreeSum
    private let scratch: UnsafeMutableRawBufferPointer
    /// The slices of a piece and the next on their way to their owners, each with its half of the scratch memory.
    private let slices: [(messages: MessagesUnderWay, room: UnsafeMutableRawBufferPointer)]
    /// The sums on their way to all.
    private let sums: MessagesUnderWay
    private let addresses: UnsafeMutablePointer<UnsafeRawPointer>
    private var plans: [Int: Plan] = [:]

    /// Makes the all-reduce of a communicator, with scratch memory of about ranks × `smallLimit` or two pieces.
    ///
    /// - Parameters:
    ///   - communicator: the ranks to sum over.
    ///   - smallLimit: buffers up to this many bytes are gathered whole; `nil` for `defaultSmallLimit(ranks:)`.
    ///   - pieceBytes: in bytes, at least 64; both limits must be the same on every rank.
    public init(
        communicator: Communicator, smallLimit: Int? = nil, pieceBytes: Int = defaultPieceBytes
    ) {
        self.communicator = communicator
        self.smallLimit = max(0, smallLimit ?? Self.defaultSmallLimit(ranks: communicator.size))
        self.pieceBytes = max(64, pieceBytes) & ~63
        tree = TreeSum(sources: communicator.size)
        let slice = Plan.sliceBytes(piece: self.pieceBytes, ranks: communicator.size)
        let half = slice * communicator.size
        let scratch = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(self.smallLimit * communicator.size, 2 * half), alignment: 64)
        self.scratch = scratch
        slices = [0, half].map {
            (MessagesUnderWay(communicator: communicator), .init(rebasing: scratch[$0..<($0 + half)]))
        }
        sums = MessagesUnderWay(communicator: communicator)
        addresses = .allocate(capacity: communicator.size)
        if let room = scratch.baseAddress {
            addresses.initialize(repeating: UnsafeRawPointer(room), count: communicator.size)
        }
    }

    deinit {
        addresses.deallocate()
        scratch.deallocate()
    }

    /// Replaces every element by its sum over all ranks, times a factor.
    ///
    /// Collective; every rank gives as many elements and the same factor.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public func sum(_ buffer: UnsafeMutableBufferPointer<Float>, times factor: Double = 1) throws(MPIError) {
        try sum(all: buffer, times: factor)
    }

    /// Replaces every element by its sum over all ranks, times a factor.
    ///
    /// Collective; every rank gives as many elements and the same factor.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public func sum(_ buffer: UnsafeMutableBufferPointer<Double>, times factor: Double = 1) throws(MPIError) {
        try sum(all: buffer, times: factor)
    }

    func sum<Element: TreeSummable>(
        all buffer: UnsafeMutableBufferPointer<Element>, times factor: Double
    ) throws(MPIError) {
        guard communicator.size > 1 else { return buffer.scale(by: factor) }
        guard let start = buffer.baseAddress else { return }
        let bytes = UnsafeMutableRawBufferPointer(buffer)
        if bytes.count <= smallLimit {
            try gatherAndSum(bytes, into: start, count: buffer.count)
            return buffer.scale(by: factor)
        }
        let count = (bytes.count + pieceBytes - 1) / pieceBytes
        func piece(_ index: Int) -> UnsafeMutableRawBufferPointer {
            let offset = index * pieceBytes
            return .init(rebasing: bytes[offset..<min(offset + pieceBytes, bytes.count)])
        }
        try send(piece(0), 0)
        for index in 0..<count {
            if index + 1 < count { try send(piece(index + 1), (index + 1) % 2) }
            try sumSlice(of: piece(index), index % 2, Element.self, factor)
        }
        try sums.wait()
    }

    private func gatherAndSum<Element: TreeSummable>(
        _ bytes: UnsafeMutableRawBufferPointer, into result: UnsafeMutablePointer<Element>, count: Int
    ) throws(MPIError) {
        guard count > 0 else { return }
        let gathered = UnsafeMutableRawBufferPointer(rebasing: scratch[..<(bytes.count * communicator.size)])
        try communicator.allGather(UnsafeRawBufferPointer(bytes), into: gathered)
        sumSources(count: count, into: result) { rank in
            UnsafeRawBufferPointer(gathered).baseAddress.map { $0 + rank * bytes.count }
        }
    }

    /// Begins to send the slices of a piece to their owners.
    private func send(_ piece: UnsafeMutableRawBufferPointer, _ half: Int) throws(MPIError) {
        let plan = plan(for: piece.count)
        try slices[half].messages.exchangeAll(
            UnsafeRawBufferPointer(piece), plan.sending, into: slices[half].room, plan.receiving)
    }

    /// Sums this rank's slice of a piece when it is there, and begins to hand the sum out.
    private func sumSlice<Element: TreeSummable>(
        of piece: UnsafeMutableRawBufferPointer, _ half: Int, _ element: Element.Type, _ factor: Double
    ) throws(MPIError) {
        let (plan, rank, room) = (plan(for: piece.count), communicator.rank, slices[half].room)
        try slices[half].messages.wait()
        let (own, offset) = (plan.slices.counts[rank], plan.slices.offsets[rank])
        if own > 0, let start = piece.baseAddress {
            let result = (start + offset).assumingMemoryBound(to: Element.self)
            let count = own / MemoryLayout<Element>.stride
            sumSources(count: count, into: result) { peer in
                // This rank's own version of the slice never left its place.
                peer == rank
                    ? UnsafeRawPointer(start + offset)
                    : UnsafeRawBufferPointer(room).baseAddress.map { $0 + plan.receiving.offsets[peer] }
            }
            UnsafeMutableBufferPointer(start: result, count: count).scale(by: factor)
        }
        try sums.exchangeAll(UnsafeRawBufferPointer(piece), plan.handingOut, into: piece, plan.gathering)
    }

    private func sumSources<Element: TreeSummable>(
        count: Int, into result: UnsafeMutablePointer<Element>, _ address: (Int) -> UnsafeRawPointer?
    ) {
        for rank in 0..<communicator.size {
            if let source = address(rank) { addresses[rank] = source }
        }
        addresses.withMemoryRebound(to: UnsafePointer<Element>.self, capacity: communicator.size) {
            tree.sumTree($0, count: count, into: result)
        }
    }

    private func plan(for piece: Int) -> Plan {
        if let known = plans[piece] { return known }
        let made = Plan(piece: piece, communicator: communicator)
        plans[piece] = made
        return made
    }
}

/// Who owns which slice of a piece, and what moves where.
private struct Plan {
    /// The slices by owner within the piece.
    let slices: RankLayout
    /// What this rank sends to each owner: all slices but its own.
    let sending: RankLayout
    /// Where the other ranks' versions of this rank's slice go in the scratch memory.
    let receiving: RankLayout
    /// This rank's slice, to all others.
    let handingOut: RankLayout
    /// The slices of the others.
    let gathering: RankLayout

    init(piece: Int, communicator: Communicator) {
        let (size, rank) = (communicator.size, communicator.rank)
        let width = Self.sliceBytes(piece: piece, ranks: size)
        let offsets = (0..<size).map { min(piece, $0 * width) }
        let counts = (0..<size).map { min(piece, ($0 + 1) * width) - offsets[$0] }
        slices = RankLayout(counts: counts, offsets: offsets)
        sending = RankLayout(counts: (0..<size).map { $0 == rank ? 0 : counts[$0] }, offsets: offsets)
        receiving = RankLayout(
            counts: (0..<size).map { $0 == rank ? 0 : counts[rank] }, offsets: (0..<size).map { $0 * width })
        handingOut = RankLayout(
            counts: (0..<size).map { $0 == rank ? 0 : counts[rank] },
            offsets: Array(repeating: offsets[rank], count: size))
        gathering = sending
    }

    /// Slices are whole cache lines, so that they hold whole elements of any type.
    static func sliceBytes(piece: Int, ranks: Int) -> Int { ((piece + ranks - 1) / ranks + 63) & ~63 }
}
