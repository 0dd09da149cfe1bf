import Synchronization

/// The pieces of an operation that are one thread's own: it takes them from the front, others from the back.
///
/// Note [Own pieces first]: threads of one process may be far apart: on cores without a common cache, on two sockets, or
/// where a virtual machine puts them. What one has written then costs the other several times as much as what it wrote
/// itself. The same fraction of all operations' pieces belongs to a thread, so it mostly reads what it has written: its
/// samples of the batch, its rows of an activation. Only when it has no more does it take from another, from the end
/// farthest from where that one works. Which thread runs a piece never changes a result.
package struct PieceRange: ~Copyable {
    /// The first piece in the lower half, the one after the last in the upper.
    private let bounds = Atomic<UInt64>(0)

    package init() {}

    package func fill(_ pieces: Range<Int>) {
        bounds.store(UInt64(pieces.upperBound) << 32 | UInt64(pieces.lowerBound), ordering: .relaxed)
    }

    /// The first piece that is left, or nil.
    package func takeFirst() -> Int? { take { ($0, $0 + 1) } }

    /// The last piece that is left, or nil.
    package func takeLast() -> Int? { take { (($0 >> 32) - 1, $0 - (1 << 32)) } }

    @inline(__always)
    private func take(_ choice: (UInt64) -> (piece: UInt64, rest: UInt64)) -> Int? {
        var now = bounds.load(ordering: .relaxed)
        while now & 0xFFFF_FFFF < now >> 32 {
            let (piece, rest) = choice(now)
            let (exchanged, original) = bounds.compareExchange(expected: now, desired: rest, ordering: .relaxed)
            if exchanged { return Int(piece & 0xFFFF_FFFF) }
            now = original
        }
        return nil
    }
}
