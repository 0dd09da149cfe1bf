import Foundation
import TestSupport
import Testing

/// The measured workloads in small sizes: what their steps take from the system, and what bits they end with.
struct WorkloadTests {
    /// A workload, samples per step, and samples in memory (characters for the transformer).
    static let workloads = [
        ("tiny", 32, 320), ("mlp", 16, 160), ("cnn", 4, 40), ("gpt", 1, 6_000), ("resnet18", 2, 40),
    ]

    private func run(_ arguments: [String], ranks: Int = 0) throws -> [String: Any] {
        let run = try MPIRun("lightning-bench", arguments, ranks: ranks, limit: 120)
        try #require(run.status == 0 && !run.timedOut, "\(run.output)")
        let line = try #require(run.output.split(separator: "\n").last { $0.hasPrefix("{") }, "\(run.output)")
        return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    /// Promise: the same bits on any number of threads; the Trainer adds nothing to a bare loop but its name; and a
    /// steady step takes nothing from the system and copies no storage.
    @Test(arguments: workloads) func sameBitsAndNothingFromTheSystem(workload: (String, batch: Int, samples: Int))
        throws
    {
        let arguments = [
            workload.0, "--batch", "\(workload.batch)", "--samples", "\(workload.samples)", "--steps", "5", "--warmup",
            "8", "--digest", "--threads",
        ]
        let one = try run(arguments + ["1"]), two = try run(arguments + ["2"]), three = try run(arguments + ["3"])
        let plain = try run(arguments + ["1", "--plain"])
        let digest = try #require(one["weights"] as? String)
        #expect(digest.count == 64)
        #expect([two, three, plain].map { $0["weights"] as? String } == [digest, digest, digest])
        #expect(
            try run(arguments + ["1", "--opt", workload.0 == "gpt" ? "sgd" : "adamw"])["weights"] as? String != digest)
        #expect(one["system_allocations"] as? Int == 0, "\(one)")
        // The C library's heap may creep on by a page in many steps.
        #expect(one["page_faults"] as? Int ?? .max < 5, "\(one)")
        // Hooks that nobody overrides cost nothing: the box around the batch is all that the Trainer allocates.
        let heap = [one, plain].compactMap { $0["heap_allocations_per_step"] as? Double }
        #expect(heap.count == 2 && heap[0] - heap[1] <= 2, "\(heap)")
        for report in [one, two, three, plain] {
            // On several threads it depends on luck when first they all need scratch memory at the same moment: a few
            // blocks a thread, once, where an operation that asks the system in every step would take hundreds.
            let threads = try #require(report["threads"] as? Int)
            #expect(report["system_allocations"] as? Int ?? .max < 5 * threads, "\(report)")
            #expect(report["storage_copies"] as? Int == 0, "\(report)")
            #expect(report["steps"] as? Int == 5 && report["batch"] as? Int == workload.batch)
            let share = try #require(report["share_of_limit"] as? Double)
            #expect(share > 0)
        }
    }

    /// The hash of the weights is the one that everybody computes.
    @Test func digestIsWhatSHA256SumSays() throws {
        let directory = try ScratchDirectory()
        let file = directory.file("weights")
        let digest = try run(
            ["mlp", "--batch", "8", "--samples", "200", "--steps", "1", "--warmup", "1", "--digest", "--weights", file])
        let process = Process(), pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/sha256sum")
        process.arguments = [file]
        process.standardOutput = pipe
        try process.run()
        let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(said.split(separator: " ").first.map(String.init) == digest["weights"] as? String)
    }

    /// The multiplications and additions of a step, against counts by hand.
    @Test func operationsOfAStep() throws {
        let count = { (arguments: [String]) in
            try #require(try run(arguments + ["--steps", "1", "--warmup", "1"])["gigaflop"] as? Double)
        }
        // Two products for the first layer, whose input needs no gradient, and three for the second.
        expectClose(
            [try count(["tiny", "--samples", "200"])], [(2.0 * 2 * 32 * 64 * 64 + 3 * 2 * 32 * 64 * 10) / 1e9],
            relative: 1e-5)
        // nanoGPT's count per token: six times the weights of products, and 12 · layers · width · context.
        let weights = 6.0 * 12 * 384 * 384 + 65 * 384
        expectClose(
            [try count(["gpt", "--batch", "1", "--samples", "2000"])],
            [256 * (6 * weights + 12 * 6 * 384 * 256) / 1e9], relative: 1e-5)
    }

    /// Two ranks: the bare loop ends with the Trainer's weights, and both communicate once a step; where there is more
    /// than a megabyte of gradients, once for the megabyte that is ready first and once for the rest.
    @Test(arguments: [("tiny", [64, 64, 10], 1.0), ("mlp", [784, 512, 512, 10], 2)])
    func onTwoRanks(workload: (name: String, widths: [Int], collectives: Double)) throws {
        let arguments = [
            workload.name, "--batch", "8", "--samples", "200", "--steps", "4", "--warmup", "2", "--digest",
        ]
        let trainer = try run(arguments, ranks: 2), plain = try run(arguments + ["--plain"], ranks: 2)
        #expect(trainer["ranks"] as? Int == 2)
        #expect(trainer["weights"] as? String == plain["weights"] as? String)
        // Weights and biases, each from a cache line of its own.
        let parameters = zip(workload.widths, workload.widths.dropFirst()).flatMap { [$0 * $1, $1] }
        let bytes = Double(parameters.reduce(0) { $0 + ($1 + 15) / 16 * 16 * 4 })
        for report in [trainer, plain] {
            for count in ["system_allocations", "storage_copies", "gradient_copies"] {
                #expect(report[count] as? Int == 0, "\(report)")
            }
            #expect(report["collectives_per_step"] as? Double == workload.collectives, "\(report)")
            // The figures have six digits, and a bucket may leave out a gap at its end.
            #expect(abs((report["bytes_reduced_per_step"] as? Double ?? 0) - bytes) < 128, "\(report)")
        }
    }

    /// Only the threads that the process may use: its affinity mask, shared with other ranks.
    @Test func threadsFollowTheAffinityMask() throws {
        let online = ProcessInfo.processInfo.activeProcessorCount
        let arguments = ["tiny", "--samples", "100", "--steps", "1", "--warmup", "0"]
        #expect(try run(arguments)["threads"] as? Int ?? 0 <= online)
        let alone = Process()
        let output = Pipe()
        alone.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        alone.arguments =
            ["taskset", "-c", "0", MPIRun.productsDirectory.appendingPathComponent("lightning-bench").path] + arguments
        alone.standardOutput = output
        try MPIRun.withAllSignals { try alone.run() }
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        alone.waitUntilExit()
        #expect(text.contains("\"threads\":1,"), "\(text)")
        // As many ranks as cores leave each of them one.
        #expect(try run(arguments, ranks: online)["threads"] as? Int == 1)
    }

    /// Each micro-benchmark prints lines that are whole, with figures that are numbers above zero.
    @Test(arguments: [
        ["products", "--threads", "1", "--only", "tiny"],
        ["convolutions", "--threads", "1", "--only", "lenet"],
        ["kernels", "--threads", "1", "--elements", "65536"],
        ["machine", "--threads", "1"],
    ])
    func microBenchmarks(arguments: [String]) throws {
        let run = try MPIRun("lightning-bench", arguments, ranks: 0, limit: 120)
        try #require(run.status == 0, "\(run.output)")
        try expectFigures(run.output, names: ["gflops", "gb_per_s", "triad_gb_per_s"])
    }

    @Test func sumsOverRanks() throws {
        let run = try MPIRun("lightning-bench", ["allreduce", "--largest", "1"], ranks: 2, limit: 60)
        try #require(run.status == 0, "\(run.output)")
        #expect(try expectFigures(run.output, names: ["mpi_us", "messages_us"]) == 5)
        let alone = try MPIRun("lightning-bench", ["allreduce"], ranks: 0, limit: 60)
        #expect(alone.status != 0 && alone.output.contains("mpirun -n 2 lightning-bench allreduce"))
    }

    @discardableResult
    private func expectFigures(_ output: String, names: [String]) throws -> Int {
        let lines = output.split(separator: "\n").filter { $0.hasPrefix("{") }
        #expect(!lines.isEmpty, "\(output)")
        for line in lines {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            let figures = names.compactMap { object[$0] as? Double }
            #expect(!figures.isEmpty && figures.allSatisfy { $0 > 0 && $0.isFinite }, "\(line)")
        }
        return lines.count
    }
}
