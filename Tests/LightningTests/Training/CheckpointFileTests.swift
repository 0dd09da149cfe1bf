import Checkpoints
import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Checkpoints as users load them.
struct CheckpointFileTests {
    private let scratch: ScratchDirectory
    private let path: String
    private let module: ToyModule

    init() throws {
        scratch = try ScratchDirectory()
        path = scratch.file("model.h5")
        var run = ToyRun(directory: scratch.path)
        run.module.hidden = 7
        run.module.learningRate = 0.1 + 0.2
        run.module.plateauMonitor = "ä \"quoted\"\nname"
        let (trainer, module) = try run.fit()
        try trainer.saveCheckpoint(path)
        self.module = module
    }

    @Test func aModuleIsRebuiltFromItsHyperparameters() throws {
        let loaded = try ToyModule.load(fromCheckpoint: path)
        #expect(loaded.hyperparameters == module.hyperparameters)
        let bits = { (module: ToyModule) in module.stateDictionary.flatMap { $0.tensor.doubles }.map(\.bitPattern) }
        #expect(bits(loaded) == bits(module))
        let changed = try ToyModule.load(fromCheckpoint: path) { $0.learningRate = 9 }
        #expect(changed.hyperparameters.learningRate == 9 && bits(changed) == bits(module))
    }

    @Test func layersMadeInConfigureModelAreLoaded() throws {
        final class Late: LightningModule, HyperparameterModule, TrainingModule {
            let hyperparameters: Int
            var layers: [Linear] = []
            init(_ hyperparameters: Int) { self.hyperparameters = hyperparameters }
            override func configureModel() { if layers.isEmpty { layers = [Linear(hyperparameters, 1)] } }
            func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
                layers[0](batch.inputs.converted(to: .float32)).mean()
            }
            func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
        }
        let run = ToyRun(directory: scratch.path)
        let trainer = try Trainer(configuration: run.trainer, loggers: [])
        let late = Late(3)
        try trainer.fit(late, train: run.loader(8))
        try trainer.saveCheckpoint(scratch.file("late.h5"))
        let loaded = try Late.load(fromCheckpoint: scratch.file("late.h5"))
        #expect(loaded.layers[0].weight.value.doubles == late.layers[0].weight.value.doubles)
    }

    @Test func weightsAloneDoNotContinueATraining() throws {
        let run = ToyRun(directory: scratch.path)
        let trainer = try Trainer(configuration: run.trainer, loggers: [])
        try trainer.fit(ToyModule(run.module), train: run.loader(8))
        try trainer.saveCheckpoint(scratch.file("weights.h5"), weightsOnly: true)
        let error = #expect(throws: CheckpointError.self) {
            try trainer.fit(ToyModule(run.module), train: run.loader(8), checkpoint: scratch.file("weights.h5"))
        }
        #expect(error?.description.hasPrefix("the checkpoint holds weights only and training cannot go on") == true)
        _ = try ToyModule.load(fromCheckpoint: scratch.file("weights.h5"))
    }

    @Test func anotherModelIsNamedKeyByKey() throws {
        var run = ToyRun(directory: scratch.path)
        run.module.hasUnused = true
        run.resuming = path
        let error = #expect(throws: CheckpointError.self) { try run.fit() }
        let text = error?.description ?? ""
        #expect(text.hasPrefix("the checkpoint holds a ToyModule, this is a ToyModule: "), "\(text)")
        #expect(text.contains("missing from the file: unused"), "\(text)")
        #expect(text.contains("weight: model float64 \(Shape([5, 3])), file float64 \(Shape([7, 3]))"), "\(text)")
    }

    @Test func aCheckpointThatIsNotThereIsNamed() throws {
        var run = ToyRun(directory: scratch.file("empty"))
        run.resuming = "nowhere.h5"
        let missing = #expect(throws: CheckpointError.self) { try run.fit() }
        #expect(missing?.description == "there is no checkpoint 'nowhere.h5'")
        run.resuming = "best"
        let best = #expect(throws: CheckpointError.self) { try run.fit() }
        #expect(
            best?.description
                == "'best': there is no fit of this experiment in '\(scratch.file("empty"))' (trainer.defaultRootDir)")
    }
}
