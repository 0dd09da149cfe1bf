import ArgumentParser
import Lightning

/// The operations beside matrix products, against the speed of memory.
struct KernelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels", abstract: "Times elementwise operations, reductions, norms, losses and updates, GB/s.",
        discussion: """
            Bytes are those an operation must at least read and write; its share is of the machine's triad. A share \
            above one means that the caches helped: use --elements beyond them.
            """)

    @OptionGroup var options: MicroOptions
    @Option(help: "Elements of each operand.")
    var elements = 8 << 20

    func run() throws {
        for threads in try options.threadCounts() {
            Parallel.threadCount = threads
            let triad = MachineLimits.triad(threads: threads)
            for kernel in KernelCases.all(elements: elements) where options.includes(kernel.name) {
                let seconds = kernel.seconds()
                let rate = kernel.bytes / seconds / 1e9
                try JSONLine.print([
                    "kernel": kernel.name, "threads": threads, "elements": elements, "us": seconds * 1e6,
                    "gb_per_s": rate, "share_of_triad": rate / triad,
                ])
            }
        }
    }
}

/// An operation, the bytes it must move, and how to time it.
struct KernelCase {
    let name: String
    let bytes: Double
    let seconds: () -> Double
}
