import ArgumentParser
import Lightning

/// The machine's own limits.
struct MachineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "machine", abstract: "Measures what the machine can do at best: arithmetic and memory.")

    @OptionGroup var options: MicroOptions

    func run() throws {
        for threads in try options.threadCounts() {
            try JSONLine.print([
                "limit": "machine", "threads": threads,
                "multiply_add_f32_gflops": MachineLimits.multiplyAdds(threads: threads),
                "multiply_add_f64_gflops": MachineLimits.doubleMultiplyAdds(threads: threads),
                "dot_product_bf16_gflops": MachineLimits.bfloat16DotProducts(threads: threads),
                "triad_gb_per_s": MachineLimits.triad(threads: threads),
                "copy_gb_per_s": MachineLimits.copy(threads: threads),
            ])
        }
    }
}

/// What the micro-benchmarks have in common.
struct MicroOptions: ParsableArguments {
    @Option(help: "Compute threads; by default one, and then as many as there are cores.")
    var threads: Int?
    @Option(help: "Only what has this text in its name.")
    var only: String?

    func validate() throws {
        guard (threads ?? 1) > 0 else { throw ValidationError("threads must be positive") }
    }

    func threadCounts() throws -> [Int] {
        if let threads { return [threads] }
        let all = try World.current().threads.threads
        return all == 1 ? [1] : [1, all]
    }

    func includes(_ name: String) -> Bool { only.map { name.contains($0) } ?? true }
}
