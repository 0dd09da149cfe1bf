import CMPI

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How many threads a process may use: the cores it may run on, shared fairly with the ranks that may run there too, and
/// no more than its control group gives processor time for.
public struct ThreadAllotment: Sendable, Equatable {
    /// The number of threads for this process, at least 1.
    public let threads: Int
    /// The number of cores in this process's affinity mask.
    public let cores: Int
    /// The number of ranks on this node whose masks overlap this one's, with this one.
    public let sharers: Int

    /// Whether the ranks that share these cores are more than the cores, so that each has less than one.
    public var isOversubscribed: Bool { sharers > cores }

    /// The allotment of a process on its own: every core of its affinity mask.
    public static var single: ThreadAllotment {
        let own = affinityMask()
        return divide(mask: own, among: [own], quota: CPUQuota.cores())
    }

    /// The allotment of this rank: masks are exchanged within the node.
    ///
    /// Collective over `node`.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public init(node: Communicator) throws(MPIError) {
        let own = Self.affinityMask()
        self = Self.divide(mask: own, among: try node.allGather(own), quota: CPUQuota.cores())
    }

    init(threads: Int, cores: Int, sharers: Int) {
        self.threads = threads
        self.cores = cores
        self.sharers = sharers
    }

    /// The division itself: cores in `mask` by the number of `masks` that overlap it, at least 1 thread.
    ///
    /// - Parameters:
    ///   - mask: 64 cores to a word, the lowest bit first.
    ///   - masks: the masks of all ranks of the node, with this rank's own. Lengths may differ.
    ///   - quota: the processor time that all ranks of the node may take together, in cores; nil for no limit.
    public static func divide(mask: [UInt64], among masks: [[UInt64]], quota: Double? = nil) -> ThreadAllotment {
        let cores = mask.reduce(0) { $0 + $1.nonzeroBitCount }
        let sharers = masks.count { other in zip(mask, other).contains { $0 & $1 != 0 } }
        let share = quota.map { Int($0 / Double(max(1, masks.count))) } ?? .max
        return ThreadAllotment(
            threads: max(1, min(cores / max(1, sharers), share)), cores: max(1, cores), sharers: max(1, sharers))
    }

    /// The cores the calling thread may run on, 64 to a word, the lowest bit first.
    ///
    /// When the system does not tell, the cores that are online, counted from 0.
    public static func affinityMask() -> [UInt64] {
        #if os(Linux)
            // Room for 8192 cores: the kernel refuses a mask shorter than its own.
            var words = [UInt64](repeating: 0, count: 128)
            let written = words.withUnsafeMutableBytes { cmpi_affinity_mask($0.baseAddress, $0.count) }
            if written > 0 { return words }
        #endif
        let online = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        return stride(from: 0, to: online, by: 64).map { first in
            online - first >= 64 ? .max : (1 << UInt64(online - first)) - 1
        }
    }
}

/// This node's name as the operating system knows it.
func localHostname() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
