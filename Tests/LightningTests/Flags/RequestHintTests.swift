import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Requests that probably mean something else are answered with a note that says what to do, and only those.
@Suite(.serialized) struct RequestHintTests {
    /// The notes of a run.
    private func notes(_ arguments: [String], ranks: Int = 0) throws -> [String] {
        let test = try SelfTest.success("hints", arguments, in: try ScratchDirectory(), ranks: ranks)
        return test.run.output.split(separator: "\n").map(String.init).filter { $0.hasPrefix("note: ") }
    }

    @Test func nothingIsSaidAboutAUsualRun() throws { #expect(try notes([]) == []) }

    /// Six batches an epoch, two epochs: 12 steps.
    @Test(arguments: [0, 2]) func aRunTooShortForItsLoggers(ranks: Int) throws {
        let usual = ["logEvery=13", "global=4"]
        #expect(
            try notes(usual, ranks: ranks) == [
                "note: 12 optimizer steps in all, and single values are logged every 13; lower trainer.logEverySteps to see them"
            ])
        #expect(try notes(["logEvery=12"]) == [])
        #expect(try notes(["logEvery=12", "accumulate=4"]).first?.hasPrefix("note: 4 optimizer steps in all") == true)
        #expect(try notes(["logEvery=13", "steps=2"]) == [], "it was asked for")
    }

    @Test func aValidationStepWithoutData() throws {
        #expect(
            try notes(["kind=no validation"]) == [
                "note: ToyModule has a validationStep, and this fit has no validation data: nothing is validated; give it with fit(_:train:validation:)"
            ])
    }

    @Test func evaluationInRandomOrder() throws {
        #expect(
            try notes(["kind=shuffled"])
                == ["validation", "test"].map {
                    "note: the \($0) loader shuffles, which changes no metric; leave out shuffles: true"
                })
    }

    @Test func trainingBeginsInEvaluationMode() throws {
        #expect(
            try notes(["kind=evaluating"]) == [
                "note: 1 of 1 modules are in evaluation mode, and training puts all in training mode; call evaluate() in onTrainStart on those that shall stay in it"
            ])
    }

    // MARK: - Callbacks

    private func refusal(_ callbacks: [Callback], _ change: (inout Trainer.Configuration) -> Void) -> String? {
        var flags = Trainer.Configuration()
        change(&flags)
        return #expect(throws: TrainingError.self) { try Trainer(configuration: flags, callbacks: callbacks) }?
            .description
    }

    @Test func progressBars() throws {
        #expect(
            refusal([ProgressBar(), ProgressBar()]) { _ in }
                == "2 progress bars are given, which would write over each other; keep one")
        #expect(
            refusal([ProgressBar()]) { $0.enableProgressBar = false }
                == "a ProgressBar is given and trainer.enableProgressBar is off; remove one of the two")
        #expect(
            refusal([ProgressBar()]) { $0.barebones = true }
                == "a ProgressBar is given and trainer.barebones is on; remove one of the two")
        let one = try Trainer(configuration: .init(), callbacks: [ProgressBar(), ModelSummary(maxDepth: 2)])
        #expect(one.callbacks.count { $0 is ProgressBar } == 1 && one.callbacks.count { $0 is ModelSummary } == 1)
    }

    /// A module says one way in which it is trained.
    @Test func neitherWayToTrain() throws {
        final class Neither: LightningModule, TrainableModule {
            typealias TrainingBatch = NumberedBatch
            let weight = Parameter(Tensor([1.0]))
        }
        let run = ToyRun(directory: try ScratchDirectory().path)
        let error = #expect(throws: TrainingError.self) { try run.makeTrainer().fit(Neither(), train: run.loader(8)) }
        #expect(
            error?.description
                == "Neither must be a TrainingModule, whose trainingStep returns a loss, or a ManualTrainingModule, which applies gradients itself, and not neither"
        )
    }
}
