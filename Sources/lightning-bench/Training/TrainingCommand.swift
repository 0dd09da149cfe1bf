import ArgumentParser
import Foundation
import Lightning

/// One workload, through the Trainer or without it.
struct TrainingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Times one training workload, alone or under mpirun (the default).",
        discussion: """
            Times are of whole steps; step_ms is their median. Counts are over all measured steps unless they are called \
            a step's, gigaflop is over the matrix products of one step, and limit_gflops is \
            measured right after the training.
            """)

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
    @Flag(help: "Log two values at every step, with the default callbacks and loggers.")
    var logging = false
    @Flag(help: "The profiler's table, with --logging: its clock is looked at in every part of a step.")
    var profile = false
    @Flag(help: "A bare loop instead of the Trainer.")
    var plain = false
    @Flag(help: "Add the SHA-256 of all weights after the last step.")
    var digest = false
    @Option(help: "A file for the bytes of all weights after the last step, of which --digest is the hash.")
    var weights: String?

    func validate() throws {
        guard steps > 0, warmup >= 0 else { throw ValidationError("steps must be positive, warmup not negative") }
        guard optimizer == nil || optimizer == "sgd" || optimizer == "adamw" else {
            throw ValidationError("there is no optimizer '\(optimizer ?? "")'; there are sgd and adamw")
        }
        guard !plain || precision == .float32 else { throw ValidationError("the bare loop is in float32") }
        guard !(plain && logging) else { throw ValidationError("the bare loop does not log") }
        guard logging || !profile else { throw ValidationError("--profile is of a whole trainer: add --logging") }
    }

    func run() throws {
        var configuration = Trainer.Configuration()
        configuration.maxSteps = warmup + steps + 1
        configuration.threads = threads
        configuration.precision = precision
        configuration.barebones = !logging
        configuration.profiler = profile ? .simple : nil
        configuration.defaultRootDir = NSTemporaryDirectory() + "lightning-bench"
        let trainer = try Trainer(configuration: configuration)
        let batch = batch ?? workload.batch, optimizer = optimizer ?? workload.optimizer
        let strategy = trainer.strategy
        let recorder = StepRecorder(warmup: warmup, steps: steps) { strategy.communication }
        let module = MeasuredModule(workload, optimizer, logs: logging, recorder: recorder)
        let loader = workload.loader(
            samples: samples ?? workload.samples, batch: batch, rank: trainer.globalRank)
        let setup = ProcessFigures.secondsSinceStart
        if plain {
            try PlainLoop.run(
                module, loader, steps: warmup + steps + 1, over: strategy, seed: trainer.seed)
        } else {
            try trainer.fit(module, train: loader)
        }
        var report = recorder.report(batch: batch, worldSize: trainer.worldSize)
        report["workload"] = workload.rawValue
        report["opt"] = optimizer
        report["loop"] = plain ? "plain" : "trainer"
        report["precision"] = precision.rawValue
        report["threads"] = Parallel.threadCount
        report["setup_s"] = setup
        report["blas_kernel"] = blasKernel
        if digest { report["weights"] = module.weightDigest }
        if let weights, trainer.isGlobalZero { try module.writeWeights(to: weights) }
        // All ranks measure at the same time, as they trained.
        addShareOfLimit(to: &report, batch: batch)
        if trainer.isGlobalZero { try JSONLine.print(report) }
    }

    private func addShareOfLimit(to report: inout [String: Any], batch: Int) {
        guard let step = report["step_ms"] as? Double else { return }
        let gigaflop = workload.operations(batch: batch) / 1e9
        let limit = MachineLimits.multiplyAdds(threads: Parallel.threadCount)
        report["gigaflop"] = gigaflop
        report["gflops"] = gigaflop / step * 1e3
        report["limit_gflops"] = limit
        report["share_of_limit"] = gigaflop / step * 1e3 / limit
    }
}

extension Workload: ExpressibleByArgument {}

extension Precision: ExpressibleByArgument {
    /// The precision of a name.
    public init?(argument: String) { self.init(named: argument) }
}
