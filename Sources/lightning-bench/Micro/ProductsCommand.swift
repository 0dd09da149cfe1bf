import ArgumentParser
import Lightning

/// Matrix products of the shapes that training asks for.
struct ProductsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "products", abstract: "Times matrix products of the workloads' shapes, GFLOP/s.",
        discussion: """
            A linear layer of m rows, k inputs and n outputs asks for x · Wᵀ forward (NT), g · W for the input's \
            gradient (NN) and gᵀ · x for the weight's (TN).
            """)

    @OptionGroup var options: MicroOptions
    @Option(help: "float32 or float64.")
    var type = DType.float32

    /// Layers of the workloads: rows, inputs, outputs.
    private static let layers: [(String, Int, Int, Int)] = [
        ("tiny 64-64", 32, 64, 64), ("tiny 64-10", 32, 64, 10), ("mlp 784-512", 128, 784, 512),
        ("mlp 512-512", 128, 512, 512), ("mlp 512-10", 128, 512, 10), ("gpt packed query", 2048, 384, 1152),
        ("gpt projection", 2048, 384, 384), ("gpt up", 2048, 384, 1536), ("gpt down", 2048, 1536, 384),
        ("gpt head", 2048, 384, 65), ("square 512", 512, 512, 512), ("square 1024", 1024, 1024, 1024),
    ]

    func run() throws {
        for threads in try options.threadCounts() {
            Parallel.threadCount = threads
            let limit =
                type == .float64
                ? MachineLimits.doubleMultiplyAdds(threads: threads) : MachineLimits.multiplyAdds(threads: threads)
            for (name, m, k, n) in Self.layers where options.includes(name) { try time(name, m, k, n, threads, limit) }
        }
    }

    private func time(_ name: String, _ m: Int, _ k: Int, _ n: Int, _ threads: Int, _ limit: Double) throws {
        var stream = RandomStream(seed: 1, purpose: .user)
        let x = stream.normals([m, k], dtype: type), w = stream.normals([n, k], dtype: type)
        let g = stream.normals([m, n], dtype: type)
        let forms: [(String, () -> Tensor)] = [
            ("NT", { x.matmul(w.transposed()) }), ("NN", { g.matmul(w) }), ("TN", { g.transposed().matmul(x) }),
        ]
        for (form, product) in forms {
            let seconds = Stopwatch.secondsPerCall { _ = product() }
            let rate = 2 * Double(m) * Double(k) * Double(n) / seconds / 1e9
            try JSONLine.print([
                "product": name, "form": form, "m": m, "k": k, "n": n, "type": type.rawValue, "threads": threads,
                "us": seconds * 1e6, "gflops": rate, "share_of_limit": rate / limit,
            ])
        }
    }
}

extension DType: ExpressibleByArgument {}
