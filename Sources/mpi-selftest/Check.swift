import MPI
import Synchronization

/// What the named cases run on, and where they leave their findings.
final class Harness: Sendable {
    let world: Communicator
    let topology: Topology
    private let findings = Mutex<[String]>([])

    var rank: Int { world.rank }
    var size: Int { world.size }

    init(world: Communicator) throws {
        self.world = world
        topology = try Topology(world: world, node: try world.splitShared())
    }

    /// Notes a failure without throwing, so that this rank still takes part in the collectives that follow.
    func expect(_ condition: Bool, _ message: @autoclosure () -> String) {
        if !condition { findings.withLock { $0.append(message()) } }
    }

    func expectEqual<Value: Equatable>(_ found: Value, _ wanted: Value, _ what: @autoclosure () -> String) {
        expect(found == wanted, "\(what()): found \(found), wanted \(wanted)")
    }

    func takeFindings() -> [String] {
        findings.withLock { findings in
            defer { findings = [] }
            return findings
        }
    }
}

/// One named case.
///
/// It throws only what no rank could go on after.
struct Case: Sendable {
    let name: String
    let run: @Sendable (Harness) throws -> Void

    init(_ name: String, _ run: @escaping @Sendable (Harness) throws -> Void) {
        self.name = name
        self.run = run
    }
}
