import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// What hooks change has its effect.
struct HookEffectTests {
    /// A module with a memory that is no parameter, and batches that are changed on their way.
    private final class Remembering: LightningModule, TrainingModule, PredictionModule {
        let weight = Parameter(Tensor([0.5, -0.25, 1], shape: [1, 3]))
        var memory: [String] = []
        var shift = 0.0

        func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
            memory.append("batch \(batchIndex)")
            return batch.inputs.linear(weight: weight.value, bias: nil).squared().mean()
        }
        func predictStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor { batch.inputs }
        func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }

        override func onAfterBatchTransfer(_ batch: any DataBatch, dataLoaderIndex: Int) -> any DataBatch {
            guard var changed = batch as? NumberedBatch else { return batch }
            changed.inputs = changed.inputs + shift
            return changed
        }
        override func onSaveCheckpoint(_ checkpoint: inout Checkpoint) throws { try checkpoint.set("memory", memory) }
        override func onLoadCheckpoint(_ checkpoint: Checkpoint) throws {
            memory = try checkpoint.get("memory") ?? []
        }
    }

    /// A module for a training whose updates are its own.
    private final class Own: LightningModule, TrainingModule {
        let weight = Parameter(Tensor([1.0]))
        let calls = HookLog()
        func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor { weight.value.sum() * 4 }
        func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 1)) }
        override func backward(_ loss: Tensor) { (loss * 2).backward() }
        override func configureGradientClipping(_ optimizer: Optimizer, clipping: GradientClipping?) {
            calls.add("gradient \(weight.gradient?.doubles ?? [])")
            GradientClipping.value(0.5).clip(optimizer.parameters)
        }
        override func optimizerStep(epoch: Int, batchIndex: Int, optimizer: Optimizer) {
            if batchIndex % 2 == 1 { optimizer.step() }
        }
    }

    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    @Test func whatAModuleSavesItLoads() throws {
        let run = ToyRun(directory: scratch.path), path = scratch.file("memory.h5")
        let module = Remembering()
        let trainer = try run.makeTrainer()
        try trainer.fit(module, train: run.loader(8))
        try trainer.saveCheckpoint(path)
        #expect(module.memory == ["batch 0", "batch 1", "batch 0", "batch 1"])
        let loaded = Remembering()
        try run.makeTrainer().loadWeights(loaded, from: path)
        #expect(loaded.memory == module.memory && loaded.weight.value.doubles == module.weight.value.doubles)
    }

    @Test func batchesAreChangedOnTheirWay() throws {
        let run = ToyRun(directory: scratch.path)
        let plain = Remembering(), shifted = Remembering()
        shifted.shift = 3
        let rows = try [plain, shifted].map { try #require(try run.makeTrainer().predict($0, run.loader(5))).doubles }
        #expect(zip(rows[0], rows[1]).allSatisfy { abs($1 - $0 - 3) < 1e-12 } && rows[0].count == rows[1].count)
    }

    /// Gradients of the doubled loss are 8, clipped to a half, and applied in every second batch.
    @Test func anUpdateIsTheModulesOwn() throws {
        let run = ToyRun(directory: scratch.path), module = Own()
        try run.makeTrainer().fit(module, train: run.loader(16))
        #expect(module.calls.calls == Array(repeating: "gradient [8.0]", count: 8))
        #expect(module.weight.value.doubles == [1 - 4 * 0.5])
    }
}
