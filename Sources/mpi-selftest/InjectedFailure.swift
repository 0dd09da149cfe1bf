import DataParallel
import Glibc
import MPI

/// Failures made on purpose, one rank's fault each, that must end the whole job quickly and with a message.
enum InjectedFailure: String {
    /// The last rank throws between collectives.
    case `throw`
    /// The last rank kills itself while the others wait in a collective.
    case kill
    /// The last rank asks for another collective.
    case mismatch
    /// The last rank stops taking part; the others' watchdogs end the job.
    case stall

    struct OnPurpose: Error, CustomStringConvertible {
        let description = "thrown on purpose"
    }

    func run(_ harness: Harness) throws {
        let watchdog = Watchdog(topology: harness.topology, warning: .milliseconds(500), ending: .seconds(2))
        let lane = CommunicationLane(
            communicator: try harness.world.duplicate(), hostname: harness.topology.hostname, watchdog: watchdog)
        let isCulprit = harness.rank == harness.size - 1
        for batch in 0..<1000 {
            Watchdog.phase = TrainingPhase("training", epoch: 3, batch: batch)
            if batch == 17, isCulprit {
                switch self {
                case .throw: throw OnPurpose()
                case .kill: Glibc.kill(getpid(), SIGKILL)
                case .stall: sleep(60)
                case .mismatch: _ = try lane.performAgreed(CollectiveRequest(.barrier, "x")) { _, _ in }
                }
            }
            let request = CollectiveRequest(.allGather, "my tag", count: 3, of: .float32)
            _ = try lane.performAgreed(request) { lane, _ in
                try lane.communicator.allGather([Float(1), 2, 3])
            }
        }
    }
}
