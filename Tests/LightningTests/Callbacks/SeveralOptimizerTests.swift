import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Callbacks of one optimizer, with modules that have several.
struct SeveralOptimizerTests {
    /// Two optimizers, one of them for a part that the other does not know.
    private final class TwoOptimizers: LightningModule, ManualTrainingModule {
        let backbone = Linear(3, 4)
        let norm: BatchNorm?
        let head = Linear(4, 2)
        let other = Linear(3, 2)
        var givesBackbone = true
        var fails = false

        init(hasNorm: Bool = false) {
            norm = hasNorm ? BatchNorm(4) : nil
            super.init()
        }

        func trainingStep(_ batch: NumberedBatch, batchIndex: Int) throws {
            let optimizers = optimizers()
            let (inputs, targets) = (batch.inputs.converted(to: .float32), batch.targets.converted(to: .float32))
            for (index, optimizer) in optimizers.enumerated() {
                optimizer.zeroGradients()
                let outputs = index == 0 ? head(backbone(inputs)) : other(inputs)
                try manualBackward(meanSquaredError(outputs, targets))
                if fails, index == 1, batchIndex == 2 { throw OnPurpose("between updates") }
                try optimizer.step()
            }
        }

        func configureOptimizers() -> [OptimizerConfiguration] {
            let first = head.parameters + (givesBackbone ? backbone.parameters : []) + (norm?.parameters ?? [])
            return [
                .init(SGD(first, learningRate: 0.1)), .init(SGD(other.parameters, learningRate: 0.2)),
            ]
        }
    }

    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    @discardableResult
    private func train(_ module: TwoOptimizers, _ callbacks: [Callback]) throws -> Trainer {
        var run = ToyRun(directory: scratch.path)
        (run.trainer.maxEpochs, run.callbacks) = (4, callbacks)
        let trainer = try run.makeTrainer()
        try trainer.fit(module, train: run.loader(12))
        return trainer
    }

    private func message(_ module: TwoOptimizers, _ callback: Callback) -> String {
        let error = #expect(throws: TrainingError.self) { try train(module, [callback]) }
        return error?.description ?? ""
    }

    /// Both optimizers come to the constant rate, and weights of all parts are averaged.
    @Test func averagingSetsTheRatesOfAllOptimizers() throws {
        let averaging = StochasticWeightAveraging(learningRate: 0.05, start: .epoch(2), annealingEpochs: 0)
        let trainer = try train(TwoOptimizers(), [averaging])
        #expect(trainer.optimizers.map { $0.groups[0].learningRate } == [0.05, 0.05] && averaging.averageCount == 2)
    }

    /// It is said before training, and not after it.
    @Test func averagingRefusesMomentsThatItCannotRenew() throws {
        let said = message(TwoOptimizers(hasNorm: true), StochasticWeightAveraging(learningRate: 0.05))
        #expect(
            said
                == "StochasticWeightAveraging: TwoOptimizers applies gradients itself, so that its step cannot be run over the data to renew the moments of 'norm'; use LayerNorm or GroupNorm there, or EMAWeightAveraging"
        )
    }

    @Test func aBackboneNeedsAnOptimizerOfItsOwn() throws {
        let plan = { BackboneFinetuning(\TwoOptimizers.backbone, unfreezeAtEpoch: 2) }
        let module = TwoOptimizers()
        module.givesBackbone = false
        #expect(
            message(module, plan())
                == "BackboneFinetuning: TwoOptimizers applies gradients itself, and it is not known which of its optimizers is to train the backbone; give it the backbone's parameters in configureOptimizers, where they wait while they are frozen"
        )
        // Those that an optimizer has wait in it.
        let trained = TwoOptimizers()
        let before = trained.backbone.weight.value.doubles
        var atEpochs: [[Double]] = []
        let watcher = LambdaCallback(onTrainEpochEnd: { _, _ in atEpochs.append(trained.backbone.weight.value.doubles) }
        )
        try train(trained, [plan(), watcher])
        #expect(atEpochs.count == 4 && atEpochs[0] == before && atEpochs[1] == before && atEpochs[2] != before)
    }

    /// The first optimizer has made its update of the batch, the second has not: nothing could go on from there exactly.
    @Test func nothingIsSavedBetweenTheUpdatesOfABatch() throws {
        let guardian = OnExceptionCheckpoint(directory: scratch.file("saved"))
        let module = TwoOptimizers()
        module.fails = true
        #expect(throws: OnPurpose.self) { try train(module, [guardian]) }
        #expect(!FileManager.default.fileExists(atPath: scratch.file("saved/on_exception.h5")))
    }
}
