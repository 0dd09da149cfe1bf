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
