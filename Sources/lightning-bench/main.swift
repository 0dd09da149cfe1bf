// One training workload through the public Trainer; prints one JSON line with times, memory and counts.
import ArgumentParser
import Foundation
import Lightning

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lightning-bench", abstract: "Times one training workload and prints one JSON line.")

    @Argument(help: "tiny, mlp, cnn, gpt or resnet18.")
    var workload: Workload
    @Option(help: "Compute threads of each rank; by default its share of the cores.")
    var threads: Int?
    @Option(help: "Steps measured.")
    var steps = 50
    @Option(help: "Steps before them.")
    var warmup = 5
    @Option(name: .customLong("opt"), help: "sgd (momentum 0.9) or adamw.")
    var optimizer: String?
    @Option(help: "Samples in memory; characters for gpt.")
    var samples: Int?
    @Option(help: "Samples per rank and step.")
    var batch: Int?
    @Option(help: "float32, float64True, bfloat16Mixed or bfloat16True.")
    var precision = Precision.float32
    @Flag(help: "Log the loss at every step, with the default callbacks and loggers.")
    var logging = false

    func validate() throws {
        guard steps > 0, warmup >= 0 else { throw ValidationError("steps must be positive, warmup not negative") }
        guard optimizer == nil || optimizer == "sgd" || optimizer == "adamw" else {
            throw ValidationError("there is no optimizer '\(optimizer ?? "")'; there are sgd and adamw")
        }
    }

    func run() throws {
        var configuration = Trainer.Configuration()
        configuration.maxSteps = warmup + steps + 1
        configuration.threads = threads
        configuration.precision = precision
        configuration.barebones = !logging
        configuration.defaultRootDir = NSTemporaryDirectory() + "lightning-bench"
        let trainer = try Trainer(configuration: configuration)
        let batch = batch ?? workload.batch
        let module = MeasuredModule(workload, optimizer ?? workload.optimizer, warmup: warmup, logs: logging)
        let loader = workload.loader(
            samples: samples ?? workload.samples, batch: batch, rank: trainer.globalRank)
        let setup = ProcessFigures.secondsSinceStart
        try trainer.fit(module, train: loader)
        guard trainer.isGlobalZero else { return }
        var report = module.report(batch: batch, worldSize: trainer.worldSize)
        report["workload"] = workload.rawValue
        report["opt"] = optimizer ?? workload.optimizer
        report["precision"] = precision.rawValue
        report["threads"] = Parallel.threadCount
        report["setup_s"] = setup
        report["blas_kernel"] = blasKernel
        let data = try JSONSerialization.data(withJSONObject: report, options: [.sortedKeys])
        print(String(decoding: data, as: UTF8.self))
    }
}

extension Workload: ExpressibleByArgument {}

extension Precision: ExpressibleByArgument {
    /// The precision of a name.
    public init?(argument: String) { self.init(named: argument) }
}

Bench.main()
