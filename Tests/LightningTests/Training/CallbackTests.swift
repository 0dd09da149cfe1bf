import Checkpoints
import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// A module that logs given values as `val_loss`, one a validation.
private final class ScriptedModule: LightningModule, TrainingModule, ValidationModule {
    private let weight = Parameter(Tensor([1.0]))
    private var values: [Double]

    init(_ values: [Double]) {
        self.values = values
        super.init()
    }

    func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
        log("epoch_number", Double(currentEpoch), onStep: false, onEpoch: true)
        return (weight.value * 0).sum()
    }

    func validationStep(_ batch: NumberedBatch, batchIndex: Int) { log("val_loss", values.removeFirst()) }
    func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
}

/// EarlyStopping, ModelCheckpoint and its index, by values given to them.
struct CallbackTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// As many epochs of two batches as there are values, one for each validation.
    private func fit(
        _ values: [Double], _ callbacks: [Callback], samples: Int = 4, resuming: String? = nil,
        _ change: (inout Trainer.Configuration) -> Void = { _ in }
    ) throws -> Trainer {
        var configuration = ToyRun(directory: scratch.path).trainer
        configuration.maxEpochs = values.count
        configuration.sanityValidationBatches = 0
        change(&configuration)
        let trainer = try Trainer(configuration: configuration, callbacks: callbacks, loggers: [])
        func loader(_ count: Int) -> DataLoader<NumberedBatch> {
            DataLoader(NumberedDataset(count: count), batchSize: 2)
        }
        try trainer.fit(ScriptedModule(values), train: loader(samples), validation: loader(1), checkpoint: resuming)
        return trainer
    }

    // MARK: - EarlyStopping

    @Test func earlyStoppingStopsForEachReason() throws {
        func stop(_ values: [Double], _ callback: EarlyStopping) throws -> (Int, String?) {
            let trainer = try fit(values, [callback])
            #expect(callback.stoppedEpoch == (trainer.stopReason == nil ? nil : trainer.currentEpoch))
            return (trainer.currentEpoch, trainer.stopReason)
        }
        let patience = try stop([3, 2, 2, 2.5, 1, 1], EarlyStopping(monitor: "val_loss", patience: 2))
        #expect(patience == (4, "EarlyStopping: val_loss did not improve on 2.0 for 2 checks"))
        let never = try stop([3, 2, 1], EarlyStopping(monitor: "val_loss", patience: 1))
        #expect(never == (3, nil))
        let change = EarlyStopping(monitor: "val_loss", patience: 1, minimumChange: 0.5)
        #expect(try stop([3, 2.6, 1], change) == (2, "EarlyStopping: val_loss did not improve on 3.0 for 1 checks"))
        let largest = EarlyStopping(monitor: "val_loss", mode: .max, patience: 1)
        #expect(
            try stop([1, 2, 1.5, 9], largest) == (3, "EarlyStopping: val_loss did not improve on 2.0 for 1 checks"))
        #expect(largest.bestScore == 2 && largest.waitCount == 1)
        let nan = try stop([1, .nan, 1], EarlyStopping(monitor: "val_loss"))
        #expect(nan == (2, "EarlyStopping: val_loss is nan"))
        let borne = try stop([1, .infinity, 0.5], EarlyStopping(monitor: "val_loss", checksFinite: false))
        #expect(borne == (3, nil))
        let reached = try stop([1, 0.1, 1], EarlyStopping(monitor: "val_loss", stoppingThreshold: 0.5))
        #expect(reached == (2, "EarlyStopping: val_loss reached 0.1"))
        let diverged = try stop([1, 9, 1], EarlyStopping(monitor: "val_loss", divergenceThreshold: 5))
        #expect(diverged == (2, "EarlyStopping: val_loss diverged to 9.0"))
    }

    @Test func aStoppedRunStaysStoppedAndAnotherBeginsAnew() throws {
        let stopping = EarlyStopping(monitor: "val_loss", patience: 1)
        #expect(try fit([1, 2, 3, 4], [stopping, ModelCheckpoint()]).currentEpoch == 2)
        let last = scratch.file("version_0/checkpoints/last.h5")
        let resumed = try fit([3, 4, 5, 6], [EarlyStopping(monitor: "val_loss", patience: 1)], resuming: last)
        #expect(resumed.currentEpoch == 2 && resumed.globalStep == 4)
        #expect(resumed.stopReason == "EarlyStopping: val_loss had stopped this run after 2 epochs")
        #expect(try fit([9, 8, 9, 4], [stopping]).currentEpoch == 3)
    }

    @Test func aValueIsLookedAtOnce() throws {
        // Validations after the second batch of three; the end of the epoch brings nothing new.
        let inside = EarlyStopping(monitor: "val_loss", patience: 1)
        let trainer = try fit([3, 2, 1], [inside], samples: 6) { $0.validateEveryBatches = 2 }
        #expect(trainer.stopReason == nil && inside.waitCount == 0 && inside.bestScore == 1)
        // Every second epoch validates.
        let second = EarlyStopping(monitor: "val_loss", patience: 1)
        #expect(
            try fit([3, 2, 1], [second]) {
                $0.validateEveryEpochs = 2
                $0.maxEpochs = 6
            }.currentEpoch == 6)
        #expect(second.bestScore == 1 && second.waitCount == 0)
    }

    @Test func aMonitorOfNothingIsAnError() throws {
        for callback in [EarlyStopping(monitor: "x"), ModelCheckpoint(monitor: "x")] {
            let error = #expect(throws: TrainingError.self) { try fit([1, 2], [callback]) }
            #expect(
                error?.description
                    == "\(type(of: callback)) monitors 'x', which was not logged; there are: epoch_number, val_loss")
        }
    }

    // MARK: - ModelCheckpoint

    private struct Index: Codable, Equatable {
        struct Entry: Codable, Equatable {
            var file: String
            var epoch: Int
            var step: Int
        }
        var kept: [Entry]
        var last: String?
    }

    private func index() throws -> Index {
        let data = try Data(contentsOf: URL(fileURLWithPath: scratch.file("version_0/checkpoints/index.json")))
        return try JSONDecoder().decode(Index.self, from: data)
    }

    private func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: scratch.file("version_0/checkpoints")).sorted()
    }

    @Test func theBestAreKeptAndOfEqualOnesTheOlder() throws {
        let callback = ModelCheckpoint(monitor: "val_loss", saveTop: 2)
        _ = try fit([3, 1, 2, 1, 5], [callback])
        let best = "epoch-001-step-000004-val_loss-1.0000.h5", second = "epoch-003-step-000008-val_loss-1.0000.h5"
        #expect(try files() == [best, second, "index.json", "last.h5"])
        let wanted = [Index.Entry(file: best, epoch: 1, step: 4), Index.Entry(file: second, epoch: 3, step: 8)]
        #expect(try index() == Index(kept: wanted, last: "last.h5"))
        #expect(callback.bestScore == 1 && callback.bestPath == scratch.file("version_0/checkpoints/\(best)"))
    }

    @Test func notANumberIsTheWorstScore() throws {
        let callback = ModelCheckpoint(monitor: "val_loss", mode: .max, saveTop: 2)
        _ = try fit([.nan, 1, .nan], [callback])
        #expect(callback.bestScore == 1)
        #expect(try index().kept.map(\.epoch) == [1, 0], "of two that are worst, the older")
        let alone = ModelCheckpoint(monitor: "val_loss", directory: scratch.file("alone"))
        _ = try fit([.nan], [alone])
        #expect(alone.bestScore == .infinity && alone.bestPath != nil)
    }

    @Test func withoutAMonitorTheNewestIsKept() throws {
        _ = try fit([3, 1, 2], [ModelCheckpoint()])
        #expect(try files() == ["epoch-002-step-000006.h5", "index.json", "last.h5"])
    }

    @Test func allOrNoneAreKept() throws {
        _ = try fit([3, 1, 2], [ModelCheckpoint(monitor: "val_loss", saveTop: -1)])
        #expect(try files().count == 5)
        let none = ModelCheckpoint(monitor: "val_loss", saveTop: 0, saveLast: false, directory: scratch.file("none"))
        _ = try fit([3, 1, 2], [none])
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("none")) == ["index.json"])
        #expect(none.bestPath == nil && none.lastPath == nil)
    }

    @Test func anEpochWithoutAValidationIsNotScored() throws {
        let callback = ModelCheckpoint(monitor: "val_loss", saveTop: -1)
        _ = try fit([3, 1], [callback]) {
            $0.validateEveryEpochs = 2
            $0.maxEpochs = 4
        }
        #expect(try index().kept.map(\.epoch) == [3, 1])
    }

    @Test func everyEpochsOrEverySteps() throws {
        _ = try fit([3, 1, 2, 4], [ModelCheckpoint(saveTop: -1, everyEpochs: 2)])
        #expect(try index().kept.map(\.epoch) == [3, 1])
        // Two steps an epoch.
        let steps = ModelCheckpoint(saveTop: -1, everySteps: 3, directory: scratch.file("steps"))
        _ = try fit([3, 1, 2, 4], [steps])
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: scratch.file("steps")).sorted() == [
                "epoch-001-step-000003.h5", "epoch-002-step-000006.h5", "index.json", "last.h5",
            ])
        let last = try #require(try Checkpoint.read(from: scratch.file("steps/last.h5")).get("run", as: Run.self))
        #expect(last.progress.step == 8, "the end of training is saved too")
    }

    private struct Run: Codable {
        struct Progress: Codable { var step: Int }
        var progress: Progress
    }

    /// Validations log the metric, so that a step that is due waits for the next one.
    @Test func aStepWithoutAScoreWaitsForOne() throws {
        let callback = ModelCheckpoint(monitor: "val_loss", saveTop: -1, everySteps: 3)
        _ = try fit([3, 1, 2, 4], [callback])
        // Steps 3 and 6 are due: in the second epoch, and at the end of the third.
        #expect(try index().kept.map(\.step) == [4, 6])
    }

    /// A metric that steps log is scored at the step.
    @Test func aStepIsScored() throws {
        final class Falling: LightningModule, TrainingModule {
            let weight = Parameter(Tensor([1.0]))
            func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
                log("curve", abs(Double(globalStep) - 3.2))
                return (weight.value * 0).sum()
            }
            func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
        }
        var configuration = ToyRun(directory: scratch.path).trainer
        configuration.maxEpochs = 4
        let callback = ModelCheckpoint(monitor: "curve", saveTop: 2, everySteps: 1)
        let trainer = try Trainer(configuration: configuration, callbacks: [callback], loggers: [])
        try trainer.fit(Falling(), train: DataLoader(NumberedDataset(count: 4), batchSize: 2))
        #expect(try index().kept.map(\.step) == [4, 5])
    }

    @Test func everySecond() throws {
        let callback = ModelCheckpoint(saveTop: -1, everySeconds: 1e-9, directory: scratch.file("seconds"))
        _ = try fit([3, 1], [callback])
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("seconds")).count == 6)
        let never = ModelCheckpoint(saveTop: -1, saveLast: false, everySeconds: 1e9, directory: scratch.file("never"))
        _ = try fit([3, 1], [never])
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("never")) == [])
    }

    @Test func validationsInsideAnEpochAreSaved() throws {
        _ = try fit([3, 1, 2, 4], [ModelCheckpoint(monitor: "val_loss", saveTop: -1)], samples: 8) {
            $0.validateEveryBatches = 2
            $0.maxEpochs = 2
        }
        #expect(try index().kept.map(\.step) == [4, 6, 2, 8])
        let only = ModelCheckpoint(
            monitor: "val_loss", saveTop: -1, onlyAfterEpochs: true, directory: scratch.file("only"))
        _ = try fit([3, 1], [only], samples: 6) { $0.validateEveryBatches = 2 }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: scratch.file("only")).sorted().dropLast(2) == [
                "epoch-000-step-000003-val_loss-3.0000.h5", "epoch-001-step-000006-val_loss-1.0000.h5",
            ], "the newest value, which is from the middle of the epoch")
    }

    @Test func weightsOnlyAndNames() throws {
        let callback = ModelCheckpoint(
            monitor: "val_loss", weightsOnly: true, fileName: "best-{val_loss:.2f}-{epoch:02}-{epoch_number}",
            directory: scratch.file("named"))
        _ = try fit([3, 1], [callback])
        let best = scratch.file("named/best-val_loss-1.00-epoch-01-epoch_number-1.h5")
        #expect(callback.bestPath == best)
        #expect(try Checkpoint.read(from: best).values["run"] == nil)
        #expect(try Checkpoint.read(from: scratch.file("named/last.h5")).values["run"] != nil)
        let wrong = ModelCheckpoint(fileName: "{x}", directory: scratch.file("wrong"))
        let error = #expect(throws: TrainingError.self) { try fit([3], [wrong]) }
        #expect(
            error?.description
                == "ModelCheckpoint: the file name '{x}' asks for 'x', which was not logged; there are: epoch, epoch_number, step, val_loss"
        )
    }

    /// Another run in the same directory has files of its own, and leaves those that are there alone.
    @Test func noFileIsOverwritten() throws {
        for _ in 0..<3 {
            _ = try fit([3, 2], [ModelCheckpoint(fileName: "model", directory: scratch.file("shared"))])
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: scratch.file("shared")).sorted() == [
                "index.json", "last.h5", "model-v1.h5", "model-v2.h5", "model-v3.h5",
            ])
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        func message(_ callback: ModelCheckpoint) throws -> String? {
            #expect(throws: TrainingError.self) { try fit([3], [callback]) }?.description
        }
        #expect(
            try message(ModelCheckpoint(saveTop: 2)) == "ModelCheckpoint: saveTop 2 needs a metric to monitor")
        #expect(
            try message(ModelCheckpoint(saveTop: -2))
                == "ModelCheckpoint: saveTop -2; it is -1 for all, 0 for none, or how many to keep")
        #expect(
            try message(ModelCheckpoint(everySteps: 1, everyEpochs: 1))
                == "ModelCheckpoint: everySteps, everySeconds and everyEpochs exclude each other; use two callbacks with directories of their own"
        )
        #expect(
            try message(ModelCheckpoint(everySteps: 0))
                == "ModelCheckpoint: everySteps, everySeconds and everyEpochs are more than 0")
    }

    // MARK: - Others

    @Test func callbacksOfTheModuleReplaceThoseOfTheirClass() throws {
        final class Own: LightningModule, TrainingModule {
            let weight = Parameter(Tensor([1.0]))
            func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
                log("a", 1, onEpoch: true)
                log("b", 1, onEpoch: true)
                return weight.value.sum()
            }
            func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
            override func configureCallbacks() -> [Callback] {
                [EarlyStopping(monitor: "a", patience: 9), EarlyStopping(monitor: "b", patience: 9)]
            }
        }
        let run = ToyRun(directory: scratch.path)
        let given: [Callback] = [EarlyStopping(monitor: "c"), HookCallback()]
        let trainer = try Trainer(configuration: run.trainer, callbacks: given, loggers: [])
        for _ in 0..<2 { try trainer.fit(Own(), train: run.loader(8)) }
        #expect(
            trainer.callbacks.map(\.stateKey) == ["HookCallback", "EarlyStopping a min", "EarlyStopping b min"])
    }

    private final class HookCallback: Callback {}

    @Test func loggersHearHowARunEnded() throws {
        final class Listener: MetricLogger {
            let directory: String? = nil
            var heard: [String] = []
            func logHyperparameters(_ yaml: String) { heard.append("hyperparameters") }
            func log(_ record: MetricRecord) {}
            func flush() {}
            func finalize(_ status: String) { heard.append(status) }
        }
        let listener = Listener()
        var run = ToyRun(directory: scratch.path)
        let trainer = try Trainer(configuration: run.trainer, loggers: [listener])
        try trainer.fit(ToyModule(run.module), train: run.loader(8))
        run.failing = 3
        #expect(throws: OnPurpose.self) { try trainer.fit(ToyModule(run.module), train: run.loader(8)) }
        #expect(listener.heard == ["hyperparameters", "finished", "hyperparameters", "failed"])
    }
}
