import Checkpoints
import Foundation
import Lightning
import TestSupport
import Testing

/// Averages of weights, against averages made by hand.
struct AveragingTests {
    /// Takes note of the head's weights after each optimizer step and each epoch.
    private final class Recorder: Callback {
        var steps: [[Double]] = []
        var epochs: [[Double]] = []
        var rates: [Double] = []
        override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) {
            guard let module = module as? TwoPartModule else { return }
            if moment == .optimizerStep { steps.append(module.head.weight.value.doubles) }
            if moment == .epoch { epochs.append(module.head.weight.value.doubles) }
        }
        override func onBeforeOptimizerStep(_ t: Trainer, _ m: LightningModule, _ optimizer: Optimizer) {
            rates.append(optimizer.groups[0].learningRate)
        }
    }

    private func near(_ a: [Double], _ b: [Double]) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= 1e-5 * max(1, abs($1)) }
    }

    @Test func exponentialAveragesAreEvaluatedAndKept() throws {
        let recorder = Recorder()
        var check = try ResumeCheck { [EMAWeightAveraging(decay: 0.8, everySteps: 2, startStep: 3), recorder] }
        check.change = { $0.sanityValidationBatches = 0 }
        let (trainer, module) = try check.train("whole")
        #expect(recorder.steps.count == 20)
        // By hand: updates after steps 4, 6, 8, … counted from 0; five steps an epoch.
        var average: [Double]?
        var atEpochs: [[Double]] = []
        for (step, weights) in recorder.steps.enumerated() {
            if step >= 3, step % 2 == 0 {
                average = average.map { zip($0, weights).map { 0.8 * $0 + 0.2 * $1 } } ?? weights
            }
            if step % 5 == 4 { atEpochs.append(average ?? weights) }
        }
        // Two batches a validation.
        let seen = stride(from: 0, to: module.evaluated.count, by: 2).map { module.evaluated[$0] }
        #expect(seen.count == 4 && zip(seen, atEpochs).allSatisfy { near($0, $1) })
        #expect(near(module.head.weight.value.doubles, atEpochs[3]), "the module ends with the average")
        // A checkpoint holds the average as its model, and the weights in training besides.
        let directory = try trainer.runDirectory() + "/checkpoints"
        let file = try Checkpoint.read(from: directory + "/last.h5")
        #expect(near(try #require(file.model["head.weight"]).doubles, atEpochs[3]))
        let own = try #require(file.callbacks["EMAWeightAveraging"])
        #expect(try #require(own["head.weight"]).doubles == recorder.steps[19])
        // Only testing does not touch the weights.
        let before = module.stateDictionary
        try trainer.test(module, DataLoader(TwoPartModule.data(6), batchSize: 4))
        for (key, tensor) in module.stateDictionary { #expect(tensor.doubles == before[key]?.doubles) }
    }

    @Test func aMeanOfAllUpdates() throws {
        let recorder = Recorder()
        let check = try ResumeCheck { [WeightAveraging(averagesBuffers: false), recorder] }
        let (_, module) = try check.train("whole")
        let sums = recorder.steps.reduce([Double](repeating: 0, count: 12)) { zip($0, $1).map { $0 + $1 } }
        #expect(near(module.head.weight.value.doubles, sums.map { $0 / 20 }))
    }

    @Test func aRunWithAnAverageGoesOn() throws {
        try ResumeCheck { [EMAWeightAveraging(decay: 0.7, startStep: 3)] }.run()
    }

    @Test func theLastEpochsAreAveraged() throws {
        let recorder = Recorder()
        var check = try ResumeCheck {
            [StochasticWeightAveraging(learningRate: 0.05, start: .epoch(1), annealingEpochs: 2), recorder]
        }
        check.epochs = 5
        let (_, module) = try check.train("whole")
        let kept = recorder.epochs[1...]
        let mean = kept.reduce([Double](repeating: 0, count: 12)) { zip($0, $1).map { $0 + $1 / 4 } }
        #expect(near(module.head.weight.value.doubles, mean))
        // Two steps of the schedule in the first epoch: 0.9² of 0.02. Then half a cosine over two epochs, to 0.05.
        let begin = 0.02 * 0.9 * 0.9
        let wanted = [begin, begin + (0.05 - begin) * 0.5, 0.05, 0.05]
        let found = (1...4).map { recorder.rates[5 * $0] }
        #expect(zip(found, wanted).allSatisfy { abs($0 - $1) < 1e-12 }, "\(found)")
        #expect((1...4).allSatisfy { recorder.rates[5 * $0] == recorder.rates[5 * $0 + 4] }, "constant in an epoch")
    }

    /// The running moments at the end are the means over one pass with the averaged weights.
    @Test func averagedWeightsGetMomentsOfTheirOwn() throws {
        let check = try ResumeCheck { [StochasticWeightAveraging(learningRate: 0.05, start: .fraction(0.5))] }
        let (_, module) = try check.train("whole")
        let norm = try #require(module.namedModules.lazy.compactMap { $0.module as? BatchNorm }.first)
        let linear = try #require(module.namedModules.lazy.compactMap { $0.module as? Linear }.first)
        #expect(norm.batchCount.value.item == 5 && norm.momentum == 0.1)
        // Batches of 4, 4, 4, 4 and 2 in an order that is not known here: bounds that only such a mean keeps.
        let all = linear(TwoPartModule.data(18).inputs).detached
        let columns = (0..<6).map { column in (0..<18).map { all.doubles[6 * $0 + column] } }
        for (column, mean) in zip(columns, norm.runningMean.value.doubles) {
            let (least, most) = (column.sorted()[0..<2].reduce(0, +) / 2, column.sorted()[16...].reduce(0, +) / 2)
            let overall = column.reduce(0, +) / 18
            #expect(abs(mean - overall) <= max(most - overall, overall - least) / 5)
        }
    }

    @Test func aRunThatAveragesItsLastEpochsGoesOn() throws {
        try ResumeCheck { [StochasticWeightAveraging(learningRate: 0.05, start: .epoch(1), annealingEpochs: 2)] }.run()
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        func message(_ callback: Callback, epochs: Int? = 4) throws -> String {
            var check = try ResumeCheck { [callback] }
            check.change = { ($0.maxEpochs, $0.maxSteps) = (epochs, 3) }
            let error = #expect(throws: TrainingError.self) { try check.train("whole") }
            return error?.description ?? ""
        }
        #expect(
            try message(EMAWeightAveraging(decay: 2))
                == "EMAWeightAveraging: decay 2.0 is in 0 … 1, everySteps 1 at least 1")
        #expect(
            try message(StochasticWeightAveraging(learningRate: 0.1), epochs: nil)
                == "StochasticWeightAveraging needs maxEpochs, to know the last epochs")
        #expect(
            try message(StochasticWeightAveraging(learningRate: 0.1, start: .epoch(4)))
                == "StochasticWeightAveraging: learningRate 0.1 is positive, annealingEpochs 10 at least 0, and the first epoch 4 one of 4"
        )
    }
}
