import ArgumentParser
import DataParallel
import Foundation
import MPI
import Tensors

extension RunAction: ExpressibleByArgument {}

/// The arguments of the command line.
struct RunArguments: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "lightning")

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

/// A whole program over some experiments: `lightning {fit|validate|test|predict} --config FILE [key.path=value …]`.
public enum LightningCommandLine {
    /// Does what the arguments say, and ends the process.
    public static func main(_ experiments: [Experiment]) -> Never {
        let arguments = RunArguments.parseOrExit()
        do {
            let outcome = try run(arguments, experiments)
            if arguments.json, outcome.trainer.isGlobalZero {
                StandardOutput.write(try JSONReport.text(outcome) + "\n")
            }
            exit(0)
        } catch let interrupted as Interrupted {
            if rank == 0 { report("\(interrupted)") }
            exit(interrupted.exitStatus)
        } catch {
            // The same mistake is usually every rank's; rank 0 says it, and ends the job before the others speak.
            if rank != 0 { Thread.sleep(forTimeInterval: 1) }
            report("error: \(error)")
            exit(1)
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

    /// This process's rank as the launcher says it, before MPI is asked.
    private static var rank: Int {
        let environment = ProcessInfo.processInfo.environment
        return ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"].lazy
            .compactMap { environment[$0].flatMap(Int.init) }.first ?? 0
    }

    private static func report(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}
