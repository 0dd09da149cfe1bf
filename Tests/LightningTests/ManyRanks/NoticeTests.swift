import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// What rank 0 alone tells of all ranks: parameters without a gradient, skipped batches, and how far a run is.
@Suite(.serialized) struct NoticeTests {
    private func lines(_ test: SelfTest, _ prefix: String) -> [String] {
        test.run.output.split(separator: "\n").map(String.init).filter { $0.hasPrefix(prefix) }
    }

    @Test(arguments: [0, 2]) func unusedParametersAreNamedOnce(ranks: Int) throws {
        let tail = "; the loss does not depend on it. Freeze what is not to be trained, or remove it"
        for (scenario, step) in [("train", "the first optimizer step"), ("manual", "the first step of optimizer 1")] {
            let arguments = ["global=6", "epochs=2", "unused=yes"]
            let test = try SelfTest.success(scenario, arguments, in: try ScratchDirectory(), ranks: ranks)
            #expect(lines(test, "warning:") == ["warning: a parameter got no gradient in \(step): 'unused'" + tail])
            // Frozen ones need none.
            let all = try SelfTest.success(
                scenario, ["global=6", "epochs=1", "frozen=yes"], in: try ScratchDirectory(), ranks: ranks)
            #expect(lines(all, "warning:") == [])
        }
    }

    /// A batch with samples for rank 0 alone: what the other rank has no gradient for is not unused.
    @Test func ranksWithoutSamplesSayNothing() throws {
        let arguments = ["global=2", "samples=1", "heldOut=2", "epochs=1", "unused=yes"]
        let test = try SelfTest.success("control", arguments, in: try ScratchDirectory(), ranks: 2)
        #expect(lines(test, "warning:").count == 1 && lines(test, "warning:")[0].contains(": 'unused'; "))
    }

    @Test func skippedBatchesAreCounted() throws {
        for (ranks, skipped) in [(0, 2), (2, 3)] {
            let test = try SelfTest.success(
                "control", ["kind=irregular", "global=6", "epochs=2"], in: try ScratchDirectory(), ranks: ranks)
            let place = ranks > 1 ? " (counted on each rank)" : ""
            #expect(lines(test, "note:") == ["note: in epoch 1 \(skipped) batches were skipped\(place)"])
            #expect(test["irregular"] == "\(skipped) 0")
        }
    }

    /// Without a terminal progress is plain lines: from rank 0 alone, and nothing that moves a cursor.
    @Test(arguments: [0, 2]) func progressIsPlainLinesWithoutATerminal(ranks: Int) throws {
        let arguments = ["progress=yes", "global=6", "samples=24", "epochs=2", "sanity=0"]
        let test = try SelfTest.success("control", arguments, in: try ScratchDirectory(), ranks: ranks)
        #expect(!test.run.output.contains("\r") && !test.run.output.contains("\u{1B}"), "\(test.run.output)")
        for epoch in 0..<2 {
            let said = lines(test, "epoch \(epoch): ")
            let moving = /epoch \d: (\d)\/4 [\d.]+ batches\/s, \d+:\d\d left/
            #expect(said.compactMap { $0.wholeMatch(of: moving)?.1 } == ["1", "2", "3", "4"], "\(said)")
            let last = try #require(said.last)
            #expect(said.count == 5 && last.wholeMatch(of: /epoch \d: 4 batches in \d+:\d\d/) != nil, "\(said)")
        }
        let validations = lines(test, "validation: ").map { $0.trimmingCharacters(in: .whitespaces) }
        #expect(validations == ["validation: 1/2", "validation: 2/2", "validation: 1/2", "validation: 2/2"])
    }

    /// A bar moves ten times a second at most, and one step of this run takes longer.
    @Test func progressIsABarOnATerminal() throws {
        let scratch = try ScratchDirectory()
        let run = try MPIRun(
            "trainer-selftest", ["control", scratch.path, "kind=slow", "progress=yes", "global=6"], ranks: 0, limit: 60,
            environment: ["LIGHTNING_TERMINAL": "1"])
        #expect(run.status == 0 && run.output.contains("\r\u{1B}[K"), "\(run.output)")
    }

    /// Counts are those of the whole epoch when a run goes on in its middle; a loss that is not finite counts too.
    @Test func countsGoOnInTheMiddleOfAnEpoch() throws {
        let scratch = try ScratchDirectory()
        func run(steps: Int?, resuming: String? = nil) throws -> Trainer {
            var run = ToyRun(directory: scratch.path)
            (run.trainer.maxEpochs, run.trainer.maxSteps, run.resuming) = (1, steps, resuming)
            (run.trainer.enableCheckpointing, run.trainer.validateEveryEpochs) = (true, 0)
            run.trainer.allowsNonFiniteLoss = true
            run.checkpoint = ModelCheckpoint(everySteps: 1)
            return try run.fit { module, _ in
                module.inTraining = { _, _, index in if index == 1 || index == 4 { throw SkipBatch() } }
            }.0
        }
        let half = try run(steps: 2)
        #expect(half.irregularBatches.skipped == 1, "an epoch that was left early is told of too")
        let path = try #require(half.checkpointCallback?.lastPath)
        let whole = try run(steps: nil, resuming: path)
        #expect(whole.irregularBatches.skipped == 2 && whole.irregularBatches.nonFiniteLosses == 0)
    }

    private final class Unbounded: LightningModule, TrainingModule {
        private let weight = Parameter(Tensor([1.0]))
        func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
            weight.value.sum() + Tensor([batchIndex % 2 == 0 && currentEpoch == 0 ? Double.infinity : 0]).sum()
        }
        func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
    }

    @Test func lossesThatAreNotFiniteAreCounted() throws {
        let scratch = try ScratchDirectory()
        var run = ToyRun(directory: scratch.path)
        (run.trainer.maxEpochs, run.trainer.allowsNonFiniteLoss) = (1, true)
        let trainer = try run.makeTrainer()
        try trainer.fit(Unbounded(), train: run.loader(24))
        #expect(trainer.irregularBatches.nonFiniteLosses == 3 && trainer.irregularBatches.skipped == 0)
        run.trainer.maxEpochs = 2
        let longer = try run.makeTrainer()
        try longer.fit(Unbounded(), train: run.loader(24))
        #expect(longer.irregularBatches == IrregularBatches(), "those of the newest epoch")
    }
}
