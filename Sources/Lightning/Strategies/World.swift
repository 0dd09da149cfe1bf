import DataParallel
import Foundation
import MPI
import Synchronization
import Tensors

/// The processes of this job, found once: `MPI_COMM_WORLD` under `mpirun`, this process alone otherwise.
public final class World: Sendable {
    /// Ranks, nodes and host name.
    public let topology: Topology
    /// The compute threads this rank may use.
    public let threads: ThreadAllotment
    /// The one thread that communicates; nil in a single process.
    package let lane: CommunicationLane?
    private let watchdog: Watchdog?

    /// After which time the watchdog speaks, and after which it ends the job; set before the world is asked for.
    package static let watchdogLimits = Mutex<(warning: Duration, ending: Duration?)>((.seconds(60), nil))

    /// The world of this process; MPI is initialised at the first use, if the process was started by a launcher.
    ///
    /// - Throws: `MPIError` when MPI cannot be initialised, or is not the launcher's MPI.
    public static func current() throws -> World { try shared.get() }

    /// The world, for those who cannot throw: modules that no trainer runs, or none any more.
    static var known: World {
        do { return try current() } catch { fail("the ranks of this job cannot be known: \(error)") }
    }

    /// How the ranks work together outside of a trainer's runs.
    var strategy: any Strategy {
        lane.map { DataParallelStrategy(topology: topology, lane: $0) } ?? SingleProcessStrategy()
    }

    private static let shared = Result { try World() }

    private init() throws {
        guard MPIEnvironment.launch.isLaunched else {
            topology = .single
            threads = .single
            lane = nil
            watchdog = nil
            return
        }
        let communicator = try MPIEnvironment.initialize()
        let node = try communicator.splitShared()
        topology = try Topology(world: communicator, node: node)
        threads = try ThreadAllotment(node: node)
        let limits = Self.watchdogLimits.withLock { $0 }
        let watchdog = Watchdog(topology: topology, warning: limits.warning, ending: limits.ending)
        self.watchdog = watchdog
        lane = CommunicationLane(communicator: communicator, hostname: topology.hostname, watchdog: watchdog)
        World.endWithProcess()
    }

    private static let agreedStatus = Atomic<Int32>(0)

    /// Lets the job end in agreement though the processes exit with this status, as all ranks will.
    static func endInAgreement(status: Int32) { agreedStatus.store(status, ordering: .relaxed) }

    /// Ends the job when the process does: in agreement after success or an interruption, by force after a failure.
    private static func endWithProcess() {
        on_exit({ status, _ in World.processEnds(status) }, nil)
    }

    private static func processEnds(_ status: Int32) {
        guard let world = try? shared.get(), MPIEnvironment.isActive else { return }
        SignalWatch.remove()  // whatever was to be saved is
        let isAgreed = status == 0 || status == agreedStatus.load(ordering: .relaxed)
        if !isAgreed { MPIEnvironment.abort(code: status) }
        world.finish()
    }

    /// Waits for all ranks to come to their end, and finalises MPI.
    ///
    /// A rank that ends while others still train is a mismatch of collectives, and ends the job with a message.
    private func finish() {
        do {
            try lane?.performAgreed(CollectiveRequest(.barrier, "the end of the program")) { _, _ in }
            lane?.shutdown()
            watchdog?.stop()
            try MPIEnvironment.finalize()
        } catch {
            JobFailure.end(error, topology: topology)
        }
    }
}
