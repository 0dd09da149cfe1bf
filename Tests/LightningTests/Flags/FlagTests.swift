import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Flags that make no sense are refused with a message that says what to do, and those that do are heard.
struct FlagTests {
    private typealias Flags = Trainer.Configuration

    private func refusal(_ change: (inout Flags) -> Void) -> String {
        var flags = Flags()
        change(&flags)
        let error = #expect(throws: TrainingError.self) { try Trainer(configuration: flags) }
        return error?.description ?? ""
    }

    @Test func whatMakesNoSenseIsRefused() {
        #expect(
            refusal { $0.limitTrainBatches = .batches(-1) }
                == "trainer: limitTrainBatches is -1 batches; it cannot be negative")
        #expect(
            refusal { $0.limitTestBatches = .fraction(1.5) }
                == "trainer: limitTestBatches is a fraction of 1.5; it is more than 0 and at most 1")
        #expect(
            refusal { $0.limitPredictBatches = .fraction(.nan) }
                == "trainer: limitPredictBatches is a fraction of nan; it is more than 0 and at most 1")
        #expect(
            refusal { $0.validateEveryFraction = 0 }
                == "trainer: validateEveryFraction is 0.0; it is more than 0 and at most 1")
        #expect(
            refusal { ($0.validateEveryFraction, $0.validateEverySteps) = (0.5, 3) }
                == "trainer: validateEverySteps and validateEveryFraction are both given; use one of them")
        #expect(
            refusal { ($0.validateEverySeconds, $0.validateEveryBatches) = (60, 3) }
                == "trainer: validateEveryBatches and validateEverySeconds are both given; use one of them")
        #expect(refusal { $0.validateEverySeconds = 0 } == "trainer: validateEverySeconds must be positive")
        #expect(
            refusal { ($0.overfitBatches, $0.limitTrainBatches) = (.batches(2), .fraction(0.5)) }
                == "trainer: overfitBatches and limitTrainBatches both say how much to train on; use one of them")
        #expect(
            refusal { $0.overfitBatches = .batches(0) }
                == "trainer: overfitBatches is 0 batches; leave it out to train on all of them")
        #expect(
            refusal { $0.overfitBatches = .fraction(2) }
                == "trainer: overfitBatches is a fraction of 2.0; it is more than 0 and at most 1")
        #expect(
            refusal { $0.loggers = [.csv, .jsonLines, .csv] }
                == "trainer: loggers has csv twice; remove one of them")
        #expect(
            refusal { $0.reloadDataLoadersEveryEpochs = -1 }
                == "trainer: reloadDataLoadersEveryEpochs is -1; it cannot be negative")
        #expect(
            refusal { ($0.detectAnomaly, $0.allowsNonFiniteLoss) = (true, true) }
                == "trainer: detectAnomaly ends a run that allowsNonFiniteLoss lets go on; remove one of the two")
    }

    /// Six batches an epoch: a third of them are two, and the least is one.
    @Test(arguments: [(1.0 / 3, 3), (0.05, 6), (1.0, 1), (0.7, 1)])
    func validationAfterAShareOfAnEpoch(share: Double, validations: Int) throws {
        var run = ToyRun(directory: try ScratchDirectory().path)
        run.trainer.validateEveryFraction = share
        run.trainer.sanityValidationBatches = 0
        run.trainer.maxEpochs = 1
        var first = 0
        try run.fit { module, _ in
            module.inValidation = { _, _, index in if index == 0 { first += 1 } }
        }
        #expect(first == validations)
    }

    // MARK: - Validation by the clock

    /// Trains for 12 steps of a second each, and says after which of them it validated.
    private func validatedSteps(_ run: ToyRun, from time: Double = 0) throws -> [Int] {
        var (now, steps) = (time, [Int]())
        try run.fit { module, trainer in
            trainer.clock = { now }
            module.inTraining = { _, _, _ in now += 1 }
            module.inValidation = { module, _, index in if index == 0 { steps.append(module.globalStep) } }
        }
        return steps
    }

    /// A run that goes on has what was left of the interval, whatever its own clock says.
    @Test func validationAfterSoManySeconds() throws {
        let scratch = try ScratchDirectory()
        var run = ToyRun(directory: scratch.path)
        (run.trainer.validateEverySeconds, run.trainer.sanityValidationBatches) = (2.5, 0)
        let path = scratch.file("five.h5")
        run.callbacks = [
            LambdaCallback(onMetricsReady: { trainer, _, moment in
                if moment == .optimizerStep, trainer.globalStep == 5 { try trainer.saveCheckpoint(path) }
            })
        ]
        #expect(try validatedSteps(run) == [3, 6, 9, 12])
        (run.callbacks, run.resuming) = ([], path)
        #expect(try validatedSteps(run, from: 100) == [6, 9, 12])
        (run.resuming, run.trainer.accumulateGradientBatches) = (nil, 2)
        #expect(try validatedSteps(run) == [2, 4, 6])
        (run.trainer.accumulateGradientBatches, run.trainer.validateEverySeconds) = (1, 99)
        #expect(try validatedSteps(run) == [])
    }

    /// Rank 0's clock decides, and its word travels with the gradients: as many collectives as with a count of steps.
    @Test func oneClockForAllRanks() throws {
        func clocks(_ interval: String) throws -> SelfTest {
            let arguments = ["global=4", "sanity=0", interval]
            return try .success("clocks", arguments, in: try ScratchDirectory(), ranks: 2)
        }
        let (seconds, steps) = (try clocks("validateSeconds=2.5"), try clocks("validateSteps=3"))
        #expect(seconds["validated"] == "[3, 6, 9, 12] [3, 6, 9, 12]")
        #expect(steps["validated"] == seconds["validated"])
        let counts = try #require(seconds["communication"])
        #expect(counts == steps["communication"])
    }

    // MARK: - Overfitting

    @Test(arguments: [(BatchLimit.batches(2), 8), (.fraction(0.5), 12)])
    func theSameFewBatches(limit: BatchLimit, samples: Int) throws {
        var run = ToyRun(directory: try ScratchDirectory().path)
        (run.trainer.overfitBatches, run.trainer.sanityValidationBatches) = (limit, 0)
        let (_, module) = try run.fit()
        let first = try #require(module.seen["train 0"])
        #expect(first.count == samples && Set(first).count == samples && first != Array(0..<samples))
        #expect(module.seen["train 1"] == first && module.seen["val"] == first + first)
        run.trainer.limitValidationBatches = .batches(0)
        #expect(try run.fit().1.seen["val"] == nil)
        // Without the flag each epoch has an order of its own.
        (run.trainer.overfitBatches, run.trainer.limitTrainBatches) = (nil, limit)
        let usual = try run.fit().1
        #expect(usual.seen["train 1"] != usual.seen["train 0"])
    }

    @Test func ranksOverfitTheSameBatches() throws {
        var seen: [[String: String]] = []
        for ranks in [0, 2] {
            let arguments = ["global=4", "overfit=2", "sanity=0"]
            seen.append(
                try SelfTest.success("train", arguments, in: try ScratchDirectory(), ranks: ranks).values("seen"))
        }
        #expect(seen[0] == seen[1] && seen[0]["train 0"] == seen[0]["train 1"] && seen[0]["train 0"] != nil)
    }

    @Test func validationOnOtherBatchesIsNotOverfitting() throws {
        final class Mixed: LightningModule, TrainingModule, ValidationModule {
            let weight = Parameter(Tensor([1.0]))
            func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor { weight.value.sum() }
            func validationStep(_ batch: LabeledBatch, batchIndex: Int) {}
            func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
        }
        var run = ToyRun(directory: try ScratchDirectory().path)
        run.trainer.overfitBatches = .batches(1)
        let held = DataLoader(TensorDataset(inputs: Tensor([1, 2]), labels: Tensor([1, 2])), batchSize: 1)
        let error = #expect(throws: TrainingError.self) {
            try run.makeTrainer().fit(Mixed(), train: run.loader(8), validation: held)
        }
        #expect(
            error?.description
                == "trainer.overfitBatches validates on the training batches, and the validation step of Mixed takes batches of type LabeledBatch; set trainer.limitValidationBatches=0 to train alone"
        )
        run.trainer.limitValidationBatches = .batches(0)
        try run.makeTrainer().fit(Mixed(), train: run.loader(8), validation: held)
    }

    // MARK: - The environment

    @Test func theEnvironmentSetsFlags() throws {
        let flags = try Flags.fromEnvironment([
            "LIGHTNING_TRAINER_MAX_EPOCHS": "7", "LIGHTNING_TRAINER_LIMIT_TRAIN_BATCHES": "0.25",
            "LIGHTNING_TRAINER_LOGGERS": "[csv, jsonLines]", "LIGHTNING_TRAINER_PROFILER": "trace",
            "LIGHTNING_TRAINER_ENABLE_PROGRESS_BAR": "false", "LIGHTNING_TERMINAL": "1", "PATH": "/bin",
        ])
        var wanted = Flags()
        (wanted.maxEpochs, wanted.limitTrainBatches, wanted.loggers) = (7, .fraction(0.25), [.csv, .jsonLines])
        (wanted.profiler, wanted.enableProgressBar) = (.trace, false)
        #expect(flags == wanted)
        #expect(try Flags.fromEnvironment(["HOME": "/"]) == Flags())
    }

    @Test func mistakesInTheEnvironmentAreNamed() throws {
        func mistake(_ environment: [String: String]) -> String {
            let error = #expect(throws: ConfigurationError.self) { try Flags.fromEnvironment(environment) }
            return error?.description ?? ""
        }
        #expect(
            mistake(["LIGHTNING_TRAINER_MAX_EPOCH": "3", "LIGHTNING_TRAINER_ZZZ": "3"])
                == """
                environment: LIGHTNING_TRAINER_MAX_EPOCH=3: there is no such flag; did you mean LIGHTNING_TRAINER_MAX_EPOCHS?
                environment: LIGHTNING_TRAINER_ZZZ=3: there is no such flag
                """)
        let wrong = mistake(["LIGHTNING_TRAINER_MAX_EPOCHS": "ten"])
        #expect(wrong.hasPrefix("environment: LIGHTNING_TRAINER_MAX_EPOCHS=ten: maxEpochs: "), "\(wrong)")
    }

    /// A variable is a default: a file, an override and an argument count more.
    @Test func theEnvironmentIsADefault() throws {
        let scratch = try ScratchDirectory()
        let run = try MPIRun(
            "lightning",
            ["fit", "--config", repository + "/configs/digits.yaml", "trainer.defaultRootDir=\(scratch.path)"],
            ranks: 0, limit: 60,
            environment: [
                "LIGHTNING_TRAINER_MAX_STEPS": "2", "LIGHTNING_TRAINER_MAX_EPOCHS": "99",
                "LIGHTNING_TRAINER_DEFAULT_ROOT_DIR": "/nowhere",
            ])
        try #require(run.status == 0, "\(run.output)")
        let config = try String(contentsOfFile: scratch.file("version_0/config.yaml"), encoding: .utf8)
        #expect(config.contains("maxSteps: 2") && !config.contains("maxEpochs: 99"))
    }
}
