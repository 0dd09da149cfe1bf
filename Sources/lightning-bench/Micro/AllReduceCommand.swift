import ArgumentParser
import DataParallel
import Lightning
import MPI

/// Sums over the ranks: ours beside MPI's own.
struct AllReduceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "allreduce", abstract: "Times sums over all ranks, ours and MPI_Allreduce; run it under mpirun.",
        discussion: """
            'shared' is the sum in memory shared by the ranks of a node, absent where that cannot be had; 'messages' \
            the sum along the same tree by messages. gb_per_s is bytes of a rank by time.
            """)

    @Option(help: "The largest size, in MiB.")
    var largest = 256

    func validate() throws {
        guard largest > 0 else { throw ValidationError("largest must be positive") }
    }

    func run() throws {
        guard MPIEnvironment.launch.isLaunched else {
            throw ValidationError("one process has nobody to sum with: mpirun -n 2 lightning-bench allreduce")
        }
        let world = try MPIEnvironment.initialize()
        let shared = try NodeAllReduce(world: world, node: try world.splitShared(), bytes: largest << 20)
        var bytes = 4 << 10
        while bytes <= largest << 20 {
            let times = try time(bytes, world, shared)
            if world.rank == 0 {
                var line: [String: Any] = ["all_reduce": "float32", "ranks": world.size, "bytes": bytes]
                for (name, seconds) in times {
                    line["\(name)_us"] = seconds * 1e6
                    line["\(name)_gb_per_s"] = Double(bytes) / seconds / 1e9
                }
                if let ours = times["shared"] ?? times["messages"], let mpi = times["mpi"] {
                    line["times_mpi"] = mpi / ours
                }
                try JSONLine.print(line)
            }
            bytes *= 4
        }
        try shared?.free()
        try MPIEnvironment.finalize()
    }

    /// Seconds of each way: the least of five rounds in turn.
    private func time(_ bytes: Int, _ world: Communicator, _ shared: NodeAllReduce?) throws -> [String: Double] {
        let count = bytes / MemoryLayout<Float>.stride
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
        buffer.initialize(repeating: 0)
        defer { buffer.deallocate() }
        let tree = TreeAllReduce(communicator: world)
        let calls = max(2, min(1_000, (64 << 20) / bytes))
        var times: [String: Double] = [:]
        func round(_ name: String, _ body: () throws -> Void) throws {
            try body()
            try world.barrier()
            let seconds = try Stopwatch.least(of: 1) { for _ in 0..<calls { try body() } } / Double(calls)
            times[name] = min(times[name] ?? .infinity, seconds)
        }
        for _ in 0..<5 {
            if let shared { try round("shared") { try shared.sumFloats(0..<count) } }
            try round("messages") { try tree.sum(buffer) }
            try round("mpi") { try world.allReduce(buffer, .sum) }
        }
        return times
    }
}
