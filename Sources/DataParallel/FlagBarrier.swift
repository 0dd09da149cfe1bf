import MPI
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A barrier of the ranks of a node: one flag for each rank, in memory that all of them see.
///
/// A rank raises its flag to the number of the round and waits until the others have. Flags only grow, so a rank that is
/// already a round ahead has passed this one. What a rank wrote before it came, the others see after they left.
///
/// It belongs to one thread at a time and allocates nothing.
final class FlagBarrier {
    /// What a flag takes at the start of each rank's part: cache lines of its own, so that nobody's writing disturbs a
    /// rank that watches it.
    static let bytes = 128

    private let flags: [UnsafeMutablePointer<Atomic<UInt64>>]
    private let rank: Int
    private let pace: Pace
    /// How many barriers there were.
    private(set) var round: UInt64 = 0

    /// A barrier whose flags are the first bytes of each part of `memory`, which is zeroed.
    init(_ memory: SharedMemory, node: Communicator, pace: Pace) {
        flags = (0..<node.size).map { peer in
            guard let start = memory.part(of: peer).baseAddress else { fatalError("shared memory without an address") }
            return start.assumingMemoryBound(to: Atomic<UInt64>.self)
        }
        rank = node.rank
        self.pace = pace
    }

    /// Returns when all ranks have come.
    func meet() {
        round += 1
        flags[rank].pointee.store(round, ordering: .releasing)
        for peer in flags.indices where peer != rank {
            let flag = flags[peer]
            pace.wait(until: { [round] in flag.pointee.load(ordering: .acquiring) >= round })
        }
    }
}

/// How a thread waits for another rank: it watches for a moment, then gives its core away between looks, and at last
/// sleeps between them.
///
/// There is no limit: when another rank fails, `MPI_Abort` ends the waiting one too.
final class Pace: Sendable {
    /// Whether the rank has nothing better to do than to wait.
    ///
    /// While it computes on another thread, every look takes the core from that thread, and the wait is a long one: the
    /// other rank computes as well.
    let isAwaited = Atomic(false)
    /// Takes the time of waits, when somebody wants to know.
    let stopwatch = LaneStopwatch()

    /// Looks before it sleeps, each about 0.4 µs apart.
    private static let looks = (awaited: 4000, otherwise: 100)
    /// Microseconds of a sleep.
    private static let nap: UInt32 = 50

    func wait(until condition: () -> Bool) { stopwatch.time(.nodeBarrier) { look(until: condition) } }

    private func look(until condition: () -> Bool) {
        let isUrgent = isAwaited.load(ordering: .relaxed)
        if isUrgent || hasSeveralCores { watch(until: condition) }
        var looks = 0
        while !condition() {
            looks += 1
            let most = isAwaited.load(ordering: .relaxed) ? Self.looks.awaited : Self.looks.otherwise
            if looks <= most { sched_yield() } else { usleep(Self.nap) }
        }
    }
}

/// Watches a condition for a few microseconds before the caller goes to sleep, when another thread may have to make it
/// true.
///
/// Waking a sleeping thread costs some 5 to 50 µs, much work is shorter, and a longer watch would take the core from
/// the rank that is waited for. Confined to one core, as `mpirun` confines a rank unless told otherwise, watching only
/// keeps the other thread from running, so there it sleeps at once.
@inline(__always)
func spin(until condition: () -> Bool) {
    if hasSeveralCores { watch(until: condition) }
}

@inline(__always)
private func watch(until condition: () -> Bool) {
    let end = ContinuousClock.now.advanced(by: .microseconds(5))
    repeat {
        for _ in 0..<32 where condition() { return }
    } while ContinuousClock.now < end
}

/// Whether the process may run on more than one core.
let hasSeveralCores = ThreadAllotment.single.cores > 1
