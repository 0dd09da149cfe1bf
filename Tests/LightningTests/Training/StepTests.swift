import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// One weight, so that every step can be computed by hand: the loss of a batch is w times the mean of its inputs.
private final class OneWeight: LightningModule, TrainingModule {
    let weight = Parameter(Tensor([1.0], shape: [1]))
    var rates: [Double] = []
    private let schedule: ScheduleConfiguration?

    init(schedule: ScheduleConfiguration? = nil) {
        self.schedule = schedule
        super.init()
    }

    func trainingStep(_ batch: Tensor, batchIndex: Int) -> Tensor {
        let loss = (batch * weight.value).mean()
        log("train_loss", loss, onEpoch: true)
        return loss
    }

    override func onBeforeOptimizerStep(_ optimizer: Optimizer) { rates.append(optimizer.groups[0].learningRate) }

    func configureOptimizers() -> OptimizerConfiguration {
        .init(SGD(parameters, learningRate: 1), schedules: schedule.map { [$0] } ?? [])
    }
}

/// Numbers in memory.
private struct Numbers: Dataset {
    let values: [Double]
    var count: Int { values.count }
    let isInMemory = true
    func batch(at indices: [Int]) -> Tensor { Tensor(indices.map { values[$0] }, shape: [indices.count, 1]) }
}

/// What one optimizer step does: accumulation, clipping, schedules, losses that are no numbers.
struct StepTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func fit(
        _ module: OneWeight, _ values: [Double], batch: Int = 1, _ change: (inout Trainer.Configuration) -> Void
    ) throws -> Trainer {
        var run = ToyRun(directory: scratch.path)
        run.trainer.maxEpochs = 1
        change(&run.trainer)
        let trainer = try Trainer(configuration: run.trainer, callbacks: [])
        try trainer.fit(
            module, train: DataLoader(Numbers(values: values), batchSize: .global(batch), shuffles: false))
        return trainer
    }

    /// Weights 1 − Σ gradients, the learning rate being 1.
    @Test func aWindowIsTheMeanOverItsSamples() throws {
        // Batches of two: (1, 3) (5, 7) | (9, 2) (4): means over 4 and over 3 samples.
        let module = OneWeight()
        let trainer = try fit(module, [1, 3, 5, 7, 9, 2, 4], batch: 2) { $0.accumulateGradientBatches = 2 }
        #expect(abs(module.weight.value.item + 8) < 1e-14)
        #expect(trainer.globalStep == 2 && trainer.strategy.reductionCount == 2 && trainer.progress.samples == 7)
        // One batch alone in the last window, and a window longer than the epoch.
        let alone: [(Int, Double)] = [(2, -6), (3, -2), (7, -2), (1, -8)]
        for (window, wanted) in alone {
            let module = OneWeight()
            _ = try fit(module, [1, 3, 5]) { $0.accumulateGradientBatches = window }
            #expect(abs(module.weight.value.item - wanted) < 1e-14, "windows of \(window)")
        }
    }

    @Test func gradientsAreClippedByNormOrValue() throws {
        let norm = OneWeight(), value = OneWeight(), free = OneWeight()
        _ = try fit(norm, [8, 0.25]) { $0.gradientClipNorm = 0.5 }
        _ = try fit(value, [8, -8, 0.25]) { $0.gradientClipValue = 0.5 }
        _ = try fit(free, [8]) { _ in }
        #expect(abs(norm.weight.value.item - 0.25) < 1e-6)
        #expect(abs(value.weight.value.item - 0.75) < 1e-14)
        #expect(free.weight.value.item == -7)
    }

    /// A metric that nothing logs is an error, or is waited for.
    @Test func aPlateauScheduleMayWaitForItsMetric() throws {
        for strict in [true, false] {
            let schedule = ScheduleConfiguration(
                plateau: PlateauSchedule(decay: 0.5, patience: 0), monitor: "nothing", interval: .epoch, strict: strict)
            let module = OneWeight(schedule: schedule)
            switch Result(catching: { try fit(module, [0, 0]) { _ in } }) {
            case .success: #expect(!strict && module.rates == [1, 1])
            case .failure(let error):
                #expect(strict)
                #expect("\(error)".contains("a plateau schedule monitors 'nothing', which was not logged"))
            }
        }
    }

    @Test func schedulesStepByStepsOrEpochs() throws {
        func rates(_ schedule: ScheduleConfiguration, _ change: (inout Trainer.Configuration) -> Void) throws
            -> [Double]
        {
            let module = OneWeight(schedule: schedule)
            _ = try fit(module, [0, 0, 0, 0]) {
                $0.maxEpochs = 2
                change(&$0)
            }
            return module.rates
        }
        let half = ExponentialSchedule(gamma: 0.5)
        #expect(try rates(.init(half, interval: .step)) { _ in } == (0..<8).map { pow(0.5, Double($0)) })
        #expect(try rates(.init(half, interval: .step, frequency: 3)) { _ in } == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25])
        #expect(try rates(.init(half)) { _ in } == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5])
        // Optimizer steps count, not batches.
        #expect(
            try rates(.init(half, interval: .step)) { $0.accumulateGradientBatches = 2 } == [1, 0.5, 0.25, 0.125])
    }

    @Test func plateauSchedulesWatchAMetric() throws {
        var run = ToyRun(directory: scratch.path)
        run.module.schedule = "plateau"
        run.trainer.maxEpochs = 4
        // The threshold of one half is never reached after the first check: the rate halves at each later one.
        let (trainer, _) = try run.fit()
        #expect(trainer.optimizer?.groups[0].learningRate == 0.05 / 8)

        run.module.plateauInterval = .epoch
        run.module.plateauMonitor = "train_loss"
        #expect(try run.fit().0.optimizer?.groups[0].learningRate == 0.05 / 8)

        // An epoch without a validation says nothing new about a metric of validations.
        run.module.plateauMonitor = "val_loss"
        run.trainer.validateEveryEpochs = 2
        #expect(try run.fit().0.optimizer?.groups[0].learningRate == 0.05 / 2)

        run.module.plateauMonitor = "nothing"
        let unknown = #expect(throws: TrainingError.self) { try run.fit() }
        let names = "train_loss, train_loss_epoch, train_loss_step, val_ends, val_loss"
        #expect(
            unknown?.description
                == "a plateau schedule monitors 'nothing', which was not logged; there are: \(names)")

        run.module.plateauMonitor = "train_loss"
        run.module.plateauInterval = .validation
        let late = #expect(throws: TrainingError.self) { try run.fit() }
        #expect(late?.description.contains("none logs 'train_loss', which it monitors") == true)
    }

    @Test func aLossThatIsNoNumberIsAnError() throws {
        let message = #expect(throws: TrainingError.self) { try fit(OneWeight(), [1, .nan, 1]) { _ in } }?.description
        #expect(
            message
                == "the loss became nan at epoch 0, batch 1, after 1 optimizer steps; lower the learning rate, clip gradients (trainer.gradientClipNorm), or look at this batch's data. The last checkpoint is unharmed"
        )
        #expect(try fit(OneWeight(), [1, .nan, 1]) { $0.allowsNonFiniteLoss = true }.globalStep == 3)
    }

    @Test func everySampleIsLoggedByItsWeight() throws {
        let module = OneWeight()
        let trainer = try fit(module, [1, 2, 6], batch: 2) { $0.logEverySteps = 1 }
        // Losses: w = 1: mean 1.5 of two samples; then w = −0.5: −3 of one.
        #expect(abs((trainer.callbackMetrics["train_loss"] ?? 0) - 0) < 1e-15)
        let directory = try trainer.runDirectory()
        let lines = try String(contentsOfFile: directory + "/metrics.csv", encoding: .utf8).split(separator: "\n")
        #expect(lines.first == "epoch,batch,step,samples,seconds,name,value")
        let rest = lines.dropFirst().map { line in
            let fields = line.split(separator: ",")
            return (fields.prefix(4) + fields.suffix(2)).joined(separator: ",")
        }
        #expect(
            rest == ["0,1,1,2,train_loss_step,1.5", "0,2,2,3,train_loss_step,-3.0", "0,2,2,3,train_loss_epoch,0.0"])
    }

    @Test func aLossOfManyNumbersIsAnError() throws {
        final class Wrong: LightningModule, TrainingModule {
            let weight = Parameter(Tensor([1.0]))
            func trainingStep(_ batch: Tensor, batchIndex: Int) -> Tensor { batch * weight.value }
            func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 1)) }
        }
        let run = ToyRun(directory: scratch.path)
        let error = #expect(throws: TrainingError.self) {
            try Trainer(configuration: run.trainer, loggers: []).fit(
                Wrong(), train: DataLoader(Numbers(values: [1, 2]), batchSize: 2))
        }
        #expect(error?.description == "the loss has shape \(Shape([2, 1])); a loss is one number")
    }
}
