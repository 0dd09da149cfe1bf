import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Requests that cannot be served are refused before anything is written, and seeds mean what they say.
@Suite(.serialized) struct RequestTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func refusal(_ change: (inout ToyRun) -> Void) throws -> String {
        var run = ToyRun(directory: scratch.file("runs"))
        change(&run)
        let error = #expect(throws: TrainingError.self) { try run.fit() }
        #expect(!FileManager.default.fileExists(atPath: scratch.file("runs")), "a refused run leaves nothing")
        return error?.description ?? ""
    }

    @Test func nothingToTrainOnIsAnError() throws {
        #expect(try refusal { $0.samples = 0 } == "there is nothing to train on: 0 samples make no batch of 4")
    }

    @Test func twoCheckpointCallbacksNeedTwoDirectories() throws {
        let text = try refusal {
            $0.checkpoint = ModelCheckpoint(monitor: "val_loss")
            $0.callbacks = [ModelCheckpoint(monitor: "train_loss")]
        }
        #expect(text == "two ModelCheckpoints write to the run's own directory: give one of them another directory")
    }

    @Test func aStrayParameterIsFound() throws {
        final class Stray: LightningModule, TrainingModule {
            let weight = Parameter(Tensor([1.0]))
            func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor { weight.value.sum() }
            func configureOptimizers() -> OptimizerConfiguration {
                .init(SGD([weight, Parameter(.zeros([2, 3]))], learningRate: 0.1))
            }
        }
        let run = ToyRun(directory: scratch.file("runs"))
        let error = #expect(throws: TrainingError.self) {
            try run.makeTrainer().fit(Stray(), train: run.loader(8))
        }
        let text = error?.description ?? ""
        #expect(text.hasPrefix("the optimizer has a parameter of shape [2, 3]"), "\(text)")
    }

    @Test func aSingleValueIsLoggedOnce() throws {
        final class Rare: LightningModule, TrainingModule {
            let weight = Parameter(Tensor([1.0]))
            func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
                if batchIndex == 1 { log("rare", 7) }
                return weight.value.sum()
            }
            func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
        }
        var run = ToyRun(directory: scratch.file("runs"))
        run.trainer.maxEpochs = 1
        try run.makeTrainer().fit(Rare(), train: run.loader(24))
        let lines = try String(contentsOfFile: scratch.file("runs/version_0/metrics.csv"), encoding: .utf8)
            .split(separator: "\n").dropFirst().map(String.init)
        #expect(lines.count == 1 && lines[0].hasPrefix("0,2,2,8,") && lines[0].hasSuffix(",rare,7.0"), "\(lines)")
    }

    @Test func theSeedIsTheTrainersOrElseTheProcesss() throws {
        // In a context of its own: other tests draw from the process's.
        try RandomContext.$current.withValue(RandomContext(seed: 1)) { () throws -> Void in
            seedEverything(7)
            #expect(try ToyRun(directory: scratch.path).makeTrainer().seed == 7)
            var run = ToyRun(directory: scratch.path)
            run.trainer.seed = 9
            #expect(try run.makeTrainer().seed == 9)
            #expect(RandomContext.current.seed == 9)
        }
    }

    @Test func aUsersDrawsBelongToTheStep() {
        RandomContext.$current.withValue(RandomContext(seed: 3)) {
            func draw(_ step: Int, _ shard: Int) -> [Double] {
                RandomContext.current.begin(step: step, shard: shard)
                return RandomContext.current.draw(.user) { $0.uniforms(3) }
            }
            let first = draw(4, 0)
            #expect(draw(5, 0) != first && draw(4, 1) != first && draw(4, 0) == first)
        }
    }
}
