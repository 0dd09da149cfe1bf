import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// When training ends, and how much it reads.
struct StoppingTests {
    private let scratch: ScratchDirectory
    private var run: ToyRun

    /// 24 training samples in batches of 4: six batches an epoch; 11 held out: three batches.
    init() throws {
        scratch = try ScratchDirectory()
        run = ToyRun(directory: scratch.path)
    }

    private func fit(
        _ change: (inout ToyRun) -> Void, _ prepare: (ToyModule, Trainer) -> Void = { _, _ in }
    ) throws -> (trainer: Trainer, module: ToyModule) {
        var run = run
        change(&run)
        return try RandomContext.$current.withValue(RandomContext(seed: 0)) { try run.fit(prepare) }
    }

    @Test func epochsAndStepsAreCounted() throws {
        let (trainer, module) = try fit { $0.trainer.maxEpochs = 3 }
        #expect(trainer.currentEpoch == 3 && trainer.globalStep == 18 && trainer.progress.batch == 18)
        #expect(trainer.progress.samples == 72 && trainer.status == .finished)
        #expect(module.losses.count == 18)
    }

    @Test func maxStepsEndsAnEpochEarlyWithAValidation() throws {
        let (trainer, module) = try fit { $0.trainer.maxSteps = 8 }
        #expect(trainer.globalStep == 8 && trainer.currentEpoch == 1 && trainer.progress.batchInEpoch == 2)
        #expect(module.seen["val"]?.count == 22)
        let without = try fit { ($0.trainer.maxSteps, $0.trainer.maxEpochs) = (13, nil) }
        #expect(without.trainer.globalStep == 13 && without.trainer.currentEpoch == 2)
    }

    @Test func aStopWaitsForTheLeastAskedFor() throws {
        func stop(_ change: @escaping (inout ToyRun) -> Void) throws -> Trainer {
            try fit(change) { module, trainer in
                module.inTraining = { _, _, _ in trainer.requestStop("enough") }
            }.trainer
        }
        #expect(try stop { _ in }.globalStep == 1)
        #expect(try stop { $0.trainer.minSteps = 4 }.globalStep == 4)
        #expect(try stop { $0.trainer.minEpochs = 1 }.globalStep == 6)
        #expect(try stop { ($0.trainer.minSteps, $0.trainer.maxSteps) = (9, 5) }.globalStep == 5)
    }

    /// Only the time of training counts, not what came before it.
    @Test func timeEnds() throws {
        let (trainer, _) = try fit({ ($0.trainer.maxEpochs, $0.trainer.maxSeconds) = (nil, 0.2) }) { module, _ in
            usleep(250_000)
            module.inTraining = { _, _, _ in usleep(10_000) }
        }
        #expect(trainer.stopReason == "the time of 0.2 s is over")
        #expect((2...20).contains(trainer.globalStep), "\(trainer.globalStep) steps")
    }

    @Test func limitsAreCountsOrFractions() throws {
        func counts(_ change: @escaping (inout Trainer.Configuration) -> Void) throws -> [Int] {
            let (trainer, module) = try fit {
                $0.trainer.maxEpochs = 1
                change(&$0.trainer)
            }
            return [trainer.globalStep, module.seen["val"]?.count ?? 0]
        }
        #expect(try counts { _ in } == [6, 11])
        #expect(try counts { $0.limitTrainBatches = .batches(4) } == [4, 11])
        #expect(try counts { $0.limitTrainBatches = .batches(400) } == [6, 11])
        #expect(try counts { $0.limitTrainBatches = .fraction(0.5) } == [3, 11])
        #expect(try counts { $0.limitValidationBatches = .batches(1) } == [6, 4])
        #expect(try counts { $0.limitValidationBatches = .batches(0) } == [6, 0])
        #expect(try counts { $0.limitValidationBatches = .fraction(0.7) } == [6, 8])
        #expect(try counts { $0.validateEveryEpochs = 0 } == [6, 0])
    }

    @Test func aFractionThatIsNoneIsAnErrorBeforeTraining() throws {
        let train = #expect(throws: TrainingError.self) { try fit { $0.trainer.limitTrainBatches = .fraction(0.1) } }
        #expect(
            train?.description
                == "trainer.limitTrainBatches: a fraction of 0.1 of 6 batches is none; the least is \(1.0 / 6)")
        var steps = 0
        let validation = #expect(throws: TrainingError.self) {
            try fit(
                {
                    $0.trainer.limitValidationBatches = .fraction(0.1)
                    $0.trainer.sanityValidationBatches = 0
                }, { module, _ in module.inTraining = { _, _, _ in steps += 1 } })
        }
        #expect(validation?.description.hasPrefix("trainer.limitValidationBatches: a fraction of 0.1 of 3") == true)
        #expect(steps == 0)
    }

    @Test func fastDevRunTriesEverythingAndLeavesNothing() throws {
        let (trainer, module) = try fit {
            $0.trainer.fastDevRun = 2
            $0.checkpoint = ModelCheckpoint()
        }
        #expect(trainer.globalStep == 2 && module.seen["val"]?.count == 8)
        #expect(trainer.checkpointCallback == nil && trainer.loggers.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
    }

    @Test func barebonesLeavesNothing() throws {
        let (trainer, module) = try fit { $0.trainer.barebones = true }
        #expect(trainer.globalStep == 12 && module.losses.count == 12 && trainer.callbackMetrics.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
        #expect(throws: TrainingError.self) {
            try fit {
                $0.trainer.barebones = true
                $0.trainer.fastDevRun = 1
            }
        }
    }

    @Test func validationsFallDueByBatchesOrEpochs() throws {
        func batches(_ change: @escaping (inout Trainer.Configuration) -> Void) throws -> [Int] {
            var seen: [Int] = []
            _ = try fit({ change(&$0.trainer) }) { module, trainer in
                module.inValidation = { _, _, index in
                    if index == 0, !trainer.isSanityChecking { seen.append(trainer.progress.batch) }
                }
            }
            return seen
        }
        #expect(try batches { _ in } == [6, 12])
        #expect(try batches { $0.validateEveryEpochs = 2 } == [12])
        #expect(try batches { $0.validateEveryBatches = 2 } == [2, 4, 6, 8, 10, 12])
        #expect(try batches { $0.validateEveryBatches = 4 } == [4, 10])
        #expect(try batches { $0.validateEveryBatches = 7 } == [])
        // In windows of four batches: at the end of the window in which the second batch is.
        #expect(
            try batches {
                $0.validateEveryBatches = 3
                $0.accumulateGradientBatches = 4
            } == [4, 6, 10, 12])
    }

    @Test func theSanityCheckLeavesNoTrace() throws {
        func result(_ batches: Int) throws -> ([UInt64], [String: Double], Int) {
            var validations = 0
            var drawn: [Double] = []
            let (trainer, module) = try fit({
                $0.trainer.sanityValidationBatches = batches
                $0.module.dropout = 0.4
            }) { module, trainer in
                let draw = { RandomContext.current.draw(.initialization) { $0.uniforms(3) } }
                module.inTraining = { _, _, _ in drawn += draw() }
                module.inValidation = { _, _, _ in
                    guard trainer.isSanityChecking else { return }
                    validations += 1
                    _ = draw()
                }
            }
            let numbers = module.stateDictionary.flatMap { $0.tensor.doubles } + drawn
            return (numbers.map(\.bitPattern), trainer.callbackMetrics, validations)
        }
        let (with, without) = (try result(2), try result(0))
        #expect(with.0 == without.0 && with.1 == without.1)
        #expect(with.2 == 2 && without.2 == 0)
        #expect(try result(99).2 == 3)
    }

    @Test func flagsThatMakeNoSenseAreErrors() {
        func message(_ change: (inout Trainer.Configuration) -> Void) -> String? {
            var configuration = run.trainer
            change(&configuration)
            return #expect(throws: TrainingError.self) { try Trainer(configuration: configuration) }?.description
        }
        #expect(message { $0.maxEpochs = -1 } == "trainer: maxEpochs is -1; it cannot be negative")
        #expect(message { $0.accumulateGradientBatches = 0 } == "trainer: accumulateGradientBatches must be at least 1")
        #expect(
            message {
                $0.gradientClipNorm = 1
                $0.gradientClipValue = 1
            } == "trainer: gradientClipNorm and gradientClipValue are both given; use one of them")
        #expect(message { $0.gradientClipNorm = 0 } == "trainer: a clipping limit must be positive")
        #expect(message { $0.maxSeconds = 0 } == "trainer: maxSeconds must be positive")
        let ranks = message { $0.ranks = 2 }
        #expect(
            ranks?.hasPrefix(
                "2 ranks are asked for (trainer.ranks), and the program runs on 1; start it with: mpirun -n 2 ") == true
        )
    }
}
