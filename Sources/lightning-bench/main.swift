// Measures: training workloads through the public Trainer, and the parts they are made of against the machine's limits.
import ArgumentParser

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lightning-bench",
        abstract: "Measures training and what it is made of; prints one JSON object a line.",
        subcommands: [
            TrainingCommand.self, MachineCommand.self, KernelsCommand.self, ProductsCommand.self,
            ConvolutionsCommand.self, AllReduceCommand.self,
        ],
        defaultSubcommand: TrainingCommand.self)
}

Bench.main()
