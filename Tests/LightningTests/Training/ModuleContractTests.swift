import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Methods and properties of a module that need no training.
struct ModuleContractTests {
    private final class Forward: LightningModule, Layer, PredictionModule {
        typealias PredictionBatch = LabeledBatch
        private let layer = Linear(3, 2)
        func callAsFunction(_ input: Tensor) -> Tensor { layer(input).tanh() }
    }

    @Test func predictionRunsForwardByDefault() throws {
        let scratch = try ScratchDirectory()
        let module = Forward()
        let inputs = Tensor((0..<21).map { Float($0) / 7 }, shape: [7, 3])
        let data = TensorDataset(inputs: inputs, labels: Tensor([Int64](repeating: 0, count: 7)))
        let trainer = try ToyRun(directory: scratch.path).makeTrainer()
        let rows = try #require(try trainer.predict(module, DataLoader(data, batchSize: 7)))
        #expect(rows.doubles == withoutGradient { module(inputs) }.doubles)
    }

    /// Steps can be tried without a trainer.
    @Test func propertiesHaveValuesWithoutATrainer() {
        let module = Forward()
        #expect(module.attachedTrainer == nil && module.currentEpoch == 0 && module.globalStep == 0)
        #expect(module.globalRank == 0 && module.localRank == 0 && module.nodeRank == 0 && module.worldSize == 1)
        #expect(module.logger == nil && module.loggers.isEmpty && module.device == .cpu)
        #expect(module.prepareDataPerNode && module.automaticOptimization && module.strictLoading)
        #expect(module.exampleInputArray == nil)
        #expect(module.optimizers().isEmpty && module.learningRateSchedulers().isEmpty)
        module.logDictionary(["a": 1.0, "b": 2])
        module.logDictionary(["a": Tensor([1.0])])
    }

    @Test func gatheringWithoutATrainerIsThatOfOneRank() throws {
        let module = Forward()
        #expect(try module.allGather(Tensor([1.0, 2])).shape == [1, 2])
        #expect(try module.allGatherUnequal([Tensor([1.0])]).map { $0.map(\.doubles) } == [[[1]]])
        // Without synchronised gradients none flow; with them they do.
        let weight = Parameter(Tensor([1.0, 2]))
        try module.allGather(weight.value * 3, syncGradients: true).sum().backward()
        #expect(weight.gradient?.doubles == [3, 3])
    }

    @Test func frozenModulesHaveNoGradientsAndEvaluate() {
        let module = Forward()
        module.freeze()
        #expect(module.parameters.allSatisfy { !$0.requiresGradient } && !module.isTraining)
        module.unfreeze()
        #expect(module.parameters.allSatisfy(\.requiresGradient) && module.isTraining)
    }
}
