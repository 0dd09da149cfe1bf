import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// The first number that is not finite is found where it is made.
@Suite(.serialized) struct AnomalyTests {
    private final class Faulty: LightningModule, TrainingModule {
        enum Fault { case forward, backward }
        let fault: Fault
        let scale = Parameter(Tensor([1.0, 1.0]))
        let other = Parameter(Tensor([1.0, 1.0]))

        init(_ fault: Fault) { self.fault = fault }

        func trainingStep(_ batch: NumberedBatch, batchIndex: Int) throws -> Tensor {
            guard batchIndex == 1 else { return (scale.value + other.value).sum() }
            switch fault {
            // exp(1000) is infinite, and the difference of infinities no number: the first is to blame.
            case .forward:
                let large = (scale.value * 1000.0).exp()
                return (large - large + other.value).sum()
            // A root has an infinite slope at 0.
            case .backward: return (other.value + (scale.value - scale.value.detached).squareRoot()).sum()
            }
        }

        func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0)) }
    }

    private func message(_ fault: Faulty.Fault, detects: Bool = true) throws -> String {
        var run = ToyRun(directory: try ScratchDirectory().path)
        run.trainer.detectAnomaly = detects
        let error = #expect(throws: TrainingError.self) {
            try run.makeTrainer().fit(Faulty(fault), train: run.loader(run.samples))
        }
        return error?.description ?? ""
    }

    @Test func theOperationIsNamed() throws {
        #expect(
            try message(.forward)
                == "detectAnomaly: the first number that is not finite came out of 'exp' with a result of shape [2], at epoch 0, batch 1; look at what goes into it"
        )
        #expect(try message(.forward, detects: false).contains("nan at epoch 0, batch 1, after"))
    }

    @Test func theParameterIsNamed() throws {
        #expect(
            try message(.backward)
                == "detectAnomaly: the gradient of parameter 'scale' is not finite, at epoch 0, batch 1, though all results of the forward pass are; look at operations whose slope is not finite, such as a root at 0"
        )
    }

    /// The flag changes no number.
    @Test func aSoundRunIsTheSame() throws {
        func losses(_ detects: Bool) throws -> [Double] {
            var run = ToyRun(directory: try ScratchDirectory().path)
            (run.trainer.detectAnomaly, run.trainer.seed) = (detects, 3)
            seedEverything(3)
            return try run.fit().1.losses
        }
        #expect(try losses(true) == losses(false))
    }
}
