import Checkpoints
import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// What a run goes on from, and what it keeps of the run before.
@Suite(.serialized) struct GoingOnTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func run(_ epochs: Int, resuming: String? = nil) -> ToyRun {
        var run = ToyRun(directory: scratch.path)
        run.trainer.maxEpochs = epochs
        run.trainer.enableCheckpointing = true
        run.checkpoint = ModelCheckpoint(monitor: "val_loss")
        run.resuming = resuming
        return run
    }

    @Test func lastIsTheNewestFit() throws {
        let first = try run(2).fit().0
        let second = try run(3, resuming: "last").fit().0
        #expect(first.currentEpoch == 2 && second.currentEpoch == 3)
        #expect(second.globalStep == 18, "6 batches an epoch; the third epoch alone was trained")
    }

    @Test func lastOfNothingIsTheBeginning() throws {
        let trainer = try run(1, resuming: "last").fit().0
        #expect(trainer.currentEpoch == 1 && trainer.globalStep == 6)
        // A fit that died before it saved anything is gone on with by beginning anew, not by going on with another.
        try FileManager.default.createDirectory(
            atPath: scratch.file("version_7/checkpoints"), withIntermediateDirectories: true)
        #expect(try run(1, resuming: "last").fit().0.globalStep == 6)
        var other = run(1)
        other.resuming = "best"
        try FileManager.default.createDirectory(
            atPath: scratch.file("version_99/checkpoints"), withIntermediateDirectories: true)
        let error = #expect(throws: CheckpointError.self) { try other.fit() }
        #expect(error?.description.contains("version_99', has saved no such checkpoint") == true, "\(error as Any)")
    }

    @Test func theBestOfTheRunBeforeStaysTheBest() throws {
        // In a random context of its own, so that the losses are always the same.
        try RandomContext.$current.withValue(RandomContext(seed: 42)) { () throws -> Void in
            let first = try run(4).fit().0
            let best = try #require(first.checkpointCallback?.bestPath)
            // From here on everything is worse: the learning rate is far too large.
            var rest = run(6, resuming: try #require(first.checkpointCallback?.lastPath))
            rest.trainer.seed = 42
            let second = try rest.fit { module, trainer in
                module.inTraining = { module, _, _ in module.trainer.optimizer?.groups[0].learningRate = 50 }
            }.0
            #expect(second.checkpointCallback?.bestPath == best)
            #expect(FileManager.default.fileExists(atPath: best), "the files of another run are left alone")
            let index = try String(contentsOfFile: second.runDirectory() + "/checkpoints/index.json", encoding: .utf8)
            #expect(index.replacingOccurrences(of: "\\/", with: "/").contains(best))
            #expect(try second.checkpointPath("best") == best)
        }
    }

    @Test func batchesOfAnotherSizeBeginAtTheSameSample() throws {
        var half = run(1)
        half.trainer.maxSteps = 4  // of 6 batches of 4: 16 of 24 samples
        half.trainer.validateEveryEpochs = 0
        half.checkpoint = ModelCheckpoint(everySteps: 4)
        let path = try #require(try half.fit().0.checkpointCallback?.lastPath)
        var rest = run(1, resuming: path)
        rest.batch = .global(8)
        let (trainer, module) = try rest.fit()
        #expect(module.seen["train 0"]?.count == 8 && trainer.globalStep == 5)
        rest.batch = .global(3)
        let error = #expect(throws: CheckpointError.self) { try rest.fit() }
        #expect(error?.description.contains("16 samples into an epoch, with batches of 4") == true, "\(error as Any)")
    }

    @Test func theCheckpointsLearningRateGoesOn() throws {
        let path = try #require(try run(1).fit().0.checkpointCallback?.lastPath)
        var other = run(2, resuming: path)
        other.module.learningRate = 0.5
        let trainer = try other.fit().0
        #expect(trainer.optimizer?.groups[0].learningRate == 0.05)
        #expect(trainer.optimizer?.groups[0].initialLearningRate == 0.05)
        other.module.schedule = "step"
        let error = #expect(throws: CheckpointError.self) { try other.fit() }
        #expect(error?.description.contains("0 learning-rate schedules, this run has 1") == true, "\(error as Any)")
    }

    @Test func aFinishedRunSaysSo() throws {
        let path = try #require(try run(1).fit().0.checkpointCallback?.lastPath)
        let (trainer, module) = try run(1, resuming: path).fit()
        #expect(module.seen["train 0"] == nil && trainer.globalStep == 6)
    }

    @Test func lastIsAlsoTheBestFileWhenTheyAreTheSame() throws {
        let checkpoint = try #require(try run(1).fit().0.checkpointCallback)
        let best = try Checkpoint.read(from: try #require(checkpoint.bestPath))
        let last = try Checkpoint.read(from: try #require(checkpoint.lastPath))
        #expect(best.values == last.values && best.model.keys == last.model.keys)
        let names = try FileManager.default.contentsOfDirectory(atPath: scratch.file("version_0/checkpoints")).sorted()
        #expect(names.count == 3 && names.contains("last.h5") && names.contains("index.json"), "\(names)")
    }
}
