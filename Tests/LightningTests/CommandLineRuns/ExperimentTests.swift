import Foundation
import Lightning
import MPI
import TestSupport
import Testing

/// Experiments of modules that cannot do everything.
struct ExperimentTests {
    struct Settings: Codable, Sendable, DefaultInitializable { var samples = 8 }

    class TrainingOnly: LightningModule, HyperparameterModule, TrainingModule, ValidationModule {
        let hyperparameters: Settings
        private let layer = Linear(2, 1)
        required init(_ hyperparameters: Settings) {
            self.hyperparameters = hyperparameters
            super.init()
        }
        func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor { layer(batch.inputs).mean() }
        func validationStep(_ batch: LabeledBatch, batchIndex: Int) { log("val_loss", layer(batch.inputs).mean()) }
        func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
    }

    final class Tested: TrainingOnly, TestModule {
        func testStep(_ batch: LabeledBatch, batchIndex: Int) { log("test_count", Double(batch.sampleCount)) }
    }

    class TrainingOnlyData: LightningDataModule, TrainingData, ValidationData {
        private let settings: Settings
        init(_ settings: Settings) { self.settings = settings }
        func loader() -> DataLoader<LabeledBatch> {
            let (count, inputs) = (settings.samples, Tensor(filling: 1, shape: [settings.samples, 2]))
            return DataLoader(
                TensorDataset(inputs: inputs, labels: Tensor([Int64](repeating: 0, count: count))), batchSize: 4)
        }
        func trainDataLoader() -> DataLoader<LabeledBatch> { loader() }
        func validationDataLoader() -> DataLoader<LabeledBatch> { loader() }
    }

    final class TestedData: TrainingOnlyData, TestData {
        func testDataLoader() -> DataLoader<LabeledBatch> { loader() }
    }

    private let small = Experiment(
        "small", summary: "trains", module: { (settings: Settings, _: TrainingOnlyData) in TrainingOnly(settings) },
        data: { (settings: Settings) in TrainingOnlyData(settings) })
    private let tested = Experiment(
        "tested", summary: "trains and tests", module: { (settings: Settings, _: TestedData) in Tested(settings) },
        data: { (settings: Settings) in TestedData(settings) })

    private func run(
        _ experiment: Experiment, _ action: RunAction, in scratch: ScratchDirectory, thenTests: Bool = false
    ) throws -> RunOutcome {
        let path = scratch.file("run.yaml")
        let yaml = """
            experiment: \(experiment.name)
            trainer:
              maxEpochs: 1
              threads: 1
              enableProgressBar: false
              enableModelSummary: false
              defaultRootDir: \(scratch.file("runs"))
            """
        try yaml.write(toFile: path, atomically: true, encoding: .utf8)
        let file = try ConfigurationFile(path: path)
        return try experiment.run(RunRequest(action: action, file: file, checkpoint: nil, thenTests: thenTests))
    }

    private func message(_ body: () throws -> RunOutcome) -> String? {
        #expect(throws: TrainingError.self) { _ = try body() }?.description
    }

    @Test func whatAModuleHasIsDone() throws {
        let scratch = try ScratchDirectory()
        #expect(try run(small, .fit, in: scratch).trainer.globalStep == 2)
        #expect(try run(small, .validate, in: scratch).trainer.callbackMetrics["val_loss"] != nil)
        let fitted = try run(tested, .fit, in: scratch, thenTests: true)
        #expect(fitted.trainer.globalStep == 2 && fitted.trainer.callbackMetrics["test_count"] == 4)
        #expect(try run(tested, .test, in: scratch).trainer.callbackMetrics["test_count"] == 4)
    }

    @Test func whatItHasNotIsAnErrorBeforeAnythingIsDone() throws {
        let scratch = try ScratchDirectory()
        let cannotTest =
            "experiment 'small' cannot test: it was made of a TrainingOnly that is no TestModule, or a TrainingOnlyData that is no TestData"
        #expect(message { try run(small, .test, in: scratch) } == cannotTest)
        #expect(message { try run(small, .fit, in: scratch, thenTests: true) } == cannotTest)
        #expect(
            message { try run(tested, .predict, in: scratch) }
                == "experiment 'tested' cannot predict: it was made of a Tested that is no PredictionModule, or a TestedData that is no PredictionData"
        )
        #expect(!FileManager.default.fileExists(atPath: scratch.file("runs")))
    }

    /// Whatever launcher is known to have started a process, its rank is known too.
    @Test func everyLauncherTellsTheRank() {
        #expect(LaunchRank.rank(in: [:]) == 0)
        for rank in LaunchRank.variables {
            #expect(LaunchRank.rank(in: [rank: "3"]) == 3)
            guard rank.hasSuffix("COMM_WORLD_RANK") || rank == "PMI_RANK" else { continue }
            let size = rank.replacing("RANK", with: "SIZE")
            #expect(LaunchDetection.detect(in: [size: "4"]).ranks == 4)
        }
        // The mpirun inside a batch job speaks about this program, the batch system about the job.
        #expect(LaunchRank.rank(in: ["SLURM_PROCID": "0", "MV2_COMM_WORLD_RANK": "2"]) == 2)
        for launcher in ["OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE"] {
            #expect(LaunchRank.variables.contains(launcher.replacing("SIZE", with: "RANK")))
        }
    }
}
