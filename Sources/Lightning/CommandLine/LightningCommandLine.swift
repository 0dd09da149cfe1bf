import ArgumentParser
import DataParallel
import Foundation
import MPI
import Tensors

extension RunAction: ExpressibleByArgument {}

/// The arguments of the command line.
struct RunArguments: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lightning",
        discussion: "'lightning report RUN_DIR' writes the curves of a run as one HTML page, RUN_DIR/report.html.")

    @Argument(help: "fit, validate, test or predict.")
    var action: RunAction

    @Option(name: .long, help: "The configuration file (YAML).")
    var config: String

    @Option(name: .long, help: "A checkpoint: a path, 'best' or 'last'. A fit goes on from it; others use its weights.")
    var checkpoint: String?

    @Flag(name: .long, help: "After a fit, test its best checkpoint.")
    var thenTest = false

    @Flag(name: .long, help: "Print the results as one JSON object on the last line.")
    var json = false

    @Argument(help: "Values that replace those of the file: key.path=value, such as trainer.maxEpochs=3.")
    var overrides: [String] = []
}

/// The arguments of `lightning report`.
struct ReportArguments: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lightning report",
        abstract: "Writes curves, throughput, profile and hyperparameters of a run as one HTML page, report.html.")

    @Argument(help: "The directory of a run, such as lightning_logs/version_0.")
    var directory: String
}

/// A whole program over some experiments: `lightning {fit|validate|test|predict} --config FILE [key.path=value …]`,
/// and `lightning report RUN_DIR`.
public enum LightningCommandLine {
    /// Does what the arguments say, and ends the process.
    public static func main(_ experiments: [Experiment]) -> Never {
        let words = CommandLine.arguments.dropFirst()
        if words.first == "report" {
            let arguments = ReportArguments.parseOrExit(Array(words.dropFirst()))
            runProgram { StandardOutput.write(try RunReport.write(directory: arguments.directory) + "\n") }
        }
        let arguments = RunArguments.parseOrExit()
        runProgram {
            let outcome = try run(arguments, experiments)
            if arguments.json, outcome.trainer.isGlobalZero {
                StandardOutput.write(try JSONReport.text(outcome) + "\n")
            }
        }
    }

    private static func run(_ arguments: RunArguments, _ experiments: [Experiment]) throws -> RunOutcome {
        let file = try ConfigurationFile(path: arguments.config, overrides: arguments.overrides)
        let name = try file.decode(String.self, at: "experiment")
        guard let experiment = experiments.first(where: { $0.name == name }) else {
            let names = experiments.map(\.name).joined(separator: ", ")
            throw TrainingError("\(arguments.config): there is no experiment '\(name)'; there are: \(names)")
        }
        return try experiment.run(
            RunRequest(
                action: arguments.action, file: file, checkpoint: arguments.checkpoint, thenTests: arguments.thenTest))
    }
}
