import Foundation
import Lightning
import TestSupport
import Testing

/// Callbacks that change or watch how training goes: learning rates, accumulation, frozen parts, time.
struct ScheduleCallbackTests {
    // MARK: - LearningRateMonitor

    @Test func learningRatesAreLogged() throws {
        let monitor = LearningRateMonitor(logsMomentum: true, logsWeightDecay: true, prefix: "x/")
        let check = try ResumeCheck { [monitor] }
        let (trainer, _) = try check.train("whole")
        // The beginning of the epoch and five steps of it; the schedule moves after every second step.
        let wanted = (0..<4).flatMap { epoch in
            ([0] + Array(0..<5)).map { 0.02 * pow(0.9, Double((5 * epoch + $0) / 2)) }
        }
        let found = try #require(monitor.rates["x/lr-AdamW"])
        #expect(found.count == 24 && zip(found, wanted).allSatisfy { abs($0 - $1) < 1e-12 }, "\(found)")
        #expect(monitor.rates["x/lr-AdamW-momentum"] == Array(repeating: 0.9, count: 24))
        #expect(monitor.rates["x/lr-AdamW-weight_decay"] == Array(repeating: 0.01, count: 24))
        #expect(trainer.callbackMetrics["x/lr-AdamW"] == found.last)
        let lines = try ResumeCheck.lines(trainer.runDirectory()).filter { $0.contains("x/lr-AdamW,") }
        #expect(lines.count == 24)
        let epochs = LearningRateMonitor(interval: .epoch)
        _ = try ResumeCheck { [epochs] }.train("epochs")
        #expect(epochs.rates["lr-AdamW"]?.count == 4)
        let steps = LearningRateMonitor(interval: .step)
        var sparse = try ResumeCheck { [steps] }
        sparse.change = { $0.logEverySteps = 3 }
        _ = try sparse.train("steps")
        #expect(steps.rates["lr-AdamW"]?.count == 6)
    }

    @Test func aRunWithLoggedRatesGoesOn() throws { try ResumeCheck { [LearningRateMonitor()] }.run() }

    // MARK: - GradientAccumulationScheduler

    /// Counts optimizer steps by epoch.
    private final class StepCounter: Callback {
        var steps: [Int: Int] = [:]
        override func onBeforeOptimizerStep(_ trainer: Trainer, _ m: LightningModule, _ optimizer: Optimizer) {
            steps[trainer.currentEpoch, default: 0] += 1
        }
    }

    @Test func windowsChangeWithEpochs() throws {
        let counter = StepCounter()
        let check = try ResumeCheck { [GradientAccumulationScheduler([1: 3, 3: 2]), counter] }
        _ = try check.train("whole")
        #expect(counter.steps == [0: 5, 1: 2, 2: 2, 3: 3])
    }

    /// Windows of one epoch are those of a trainer that always has them.
    @Test func windowsAreThoseOfTheTrainer() throws {
        var check = try ResumeCheck { [GradientAccumulationScheduler([0: 3])] }
        let planned = try RandomContext.$current.withValue(RandomContext(seed: 3)) { try check.train("planned").1 }
        var fixed = try ResumeCheck { [] }
        fixed.change = { $0.accumulateGradientBatches = 3 }
        let module = try RandomContext.$current.withValue(RandomContext(seed: 3)) { try fixed.train("fixed").1 }
        for (key, tensor) in planned.stateDictionary {
            #expect(tensor.doubles == module.stateDictionary[key]?.doubles, "\(key)")
        }
        check.change = { $0.accumulateGradientBatches = 2 }
        let error = #expect(throws: TrainingError.self) { try check.train("both") }
        #expect(
            error?.description
                == "GradientAccumulationScheduler and accumulateGradientBatches exclude each other; put 0: 2 into the plan"
        )
        for (plan, message) in [
            ([:], "the plan is empty"),
            ([2: 0], "0 batches from epoch 2 on; epochs count from 0, and a step takes at least one batch"),
        ] as [([Int: Int], String)] {
            let wrong = try ResumeCheck { [GradientAccumulationScheduler(plan)] }
            let error = #expect(throws: TrainingError.self) { try wrong.train("wrong") }
            #expect(error?.description == "GradientAccumulationScheduler: \(message)")
        }
    }

    @Test func aRunWithChangingWindowsGoesOn() throws {
        try ResumeCheck { [GradientAccumulationScheduler([1: 3, 3: 2])] }.run()
    }

    // MARK: - BackboneFinetuning

    /// Takes note of a weight of the backbone and of all learning rates before each epoch.
    private final class PartRecorder: Callback {
        var weights: [[Double]] = []
        var norms: [[Double]] = []
        var rates: [[Double]] = []
        override func onTrainBatchStart(
            _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int
        ) {
            guard batchIndex == 0, let module = module as? TwoPartModule else { return }
            weights.append(module.backbone.parameters[0].value.doubles)
            norms.append(module.backbone.parameters[2].value.doubles)
            rates.append(trainer.optimizer?.groups.map { $0.learningRate } ?? [])
        }
    }

    @Test(arguments: [true, false]) func theBackboneIsTrainedLater(trainsBatchNorm: Bool) throws {
        let recorder = PartRecorder()
        var check = try ResumeCheck {
            [
                BackboneFinetuning(
                    \TwoPartModule.backbone, unfreezeAtEpoch: 2, ratio: 0.3, trainsBatchNorm: trainsBatchNorm),
                recorder,
            ]
        }
        check.epochs = 6
        check.prepare = { $0.trainsHeadOnly = true }
        let (trainer, _) = try check.train("whole")
        #expect(recorder.weights[0] == recorder.weights[1] && recorder.weights[1] == recorder.weights[2])
        #expect(recorder.weights[2] != recorder.weights[3], "trained in the epoch asked for")
        // The optimizer has the head alone: the norm gets a gradient from the beginning, and no update.
        #expect(recorder.norms[0] == recorder.norms[2] && recorder.norms[2] == recorder.norms[3] || !trainsBatchNorm)
        let first = recorder.rates.map { $0[0] }
        #expect(recorder.rates.map(\.count) == [1, 1, 2, 2, 2, 2])
        // 0.3, doubled to 0.6, and then as much as the first group's, times what the schedule says.
        for (epoch, share) in [2: 0.3, 3: 0.6, 4: 1, 5: 1] {
            #expect(abs(recorder.rates[epoch][1] - share * first[epoch]) < 1e-12, "epoch \(epoch)")
        }
        #expect(trainer.optimizer?.groups[1].parameters.count == (trainsBatchNorm ? 2 : 4))
    }

    /// A module that gives all parameters to its optimizer has one group, and an empty one.
    @Test func parametersStayInTheirGroup() throws {
        let recorder = PartRecorder()
        let check = try ResumeCheck { [BackboneFinetuning(\TwoPartModule.backbone, unfreezeAtEpoch: 1), recorder] }
        let (trainer, _) = try check.train("whole")
        #expect(recorder.weights[0] == recorder.weights[1] && recorder.weights[1] != recorder.weights[2])
        #expect(recorder.norms[0] != recorder.norms[1], "normalisation is trained from the beginning")
        #expect(trainer.optimizer?.groups.map(\.parameters.count) == [6, 0])
    }

    @Test func aRunThatUnfreezesGoesOn() throws {
        var check = try ResumeCheck {
            [
                BackboneFinetuning(\TwoPartModule.backbone, unfreezeAtEpoch: 1, learningRate: 0.001),
                LearningRateMonitor(),
            ]
        }
        check.prepare = { $0.trainsHeadOnly = true }
        try check.run()
    }

    // MARK: - TrainingTimer

    @Test func timeIsOver() throws {
        var time = 0.0
        let timer = TrainingTimer(seconds: 6.5, interval: .step) { time }
        final class Clock: Callback {
            let tick: () -> Void
            init(_ tick: @escaping () -> Void) { self.tick = tick }
            override func onBeforeZeroGrad(_ t: Trainer, _ m: LightningModule, _ o: Optimizer) { tick() }
        }
        let check = try ResumeCheck { [timer, Clock { time += 1 }] }
        let (trainer, _) = try check.train("whole")
        // The seventh batch ends at 7; the eighth begins when time is over, and is the last.
        #expect(trainer.globalStep == 8 && trainer.stopReason == "the time of 6.5 s is over")
        #expect(timer.elapsed() == 8 && timer.remaining == 0)
        // What is left after the third step: 3.5, so four steps more and one that notices.
        let directory = try trainer.runDirectory() + "/checkpoints"
        let names = try FileManager.default.contentsOfDirectory(atPath: directory)
        let third = try #require(names.first { $0.contains("step-000003") })
        time = 100
        let again = try check.train("again", resuming: directory + "/" + third).0
        #expect(again.globalStep == 8 && again.stopReason == "the time of 6.5 s is over")
        // A run whose time is over does not begin.
        let over = try check.train("over", resuming: directory + "/last.h5").0
        #expect(over.globalStep == 8)
        // Another run has all the time.
        #expect(try check.train("another").0.globalStep == 8)
    }

    @Test func epochsAreWhole() throws {
        var time = 0.0
        let timer = TrainingTimer(seconds: 6.5, interval: .epoch) {
            time += 0.5
            return time
        }
        let check = try ResumeCheck { [timer] }
        let (trainer, _) = try check.train("whole")
        #expect(trainer.globalStep == 5 * trainer.currentEpoch && trainer.currentEpoch < 4)
        #expect(timer.elapsed(.validate) > 0 && timer.elapsed(.test) == 0)
    }
}
