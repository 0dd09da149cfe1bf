import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Modules that apply gradients themselves.
@Suite(.serialized) struct ManualOptimizationTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func run(_ change: (inout Trainer.Configuration) -> Void = { _ in }) -> ToyRun {
        var run = ToyRun(directory: scratch.path)
        run.trainer.seed = 5
        change(&run.trainer)
        return run
    }

    private func module(_ change: (inout AdversarialToy.Hyperparameters) -> Void = { _ in }) -> AdversarialToy {
        var hyperparameters = AdversarialToy.Hyperparameters()
        change(&hyperparameters)
        return RandomContext.$current.withValue(RandomContext(seed: 11)) { AdversarialToy(hyperparameters) }
    }

    private func bits(_ module: AdversarialToy) -> [UInt64] {
        (module.generator.value.doubles + module.critic.value.doubles).map(\.bitPattern)
    }

    // MARK: - What it computes

    /// The trainer does what a plain loop over the same batches does, to the bit.
    @Test(arguments: [true, false]) func theSameAsAPlainLoop(toggles: Bool) throws {
        let run = run()
        let trained = module { ($0.gathered, $0.clip, $0.toggles) = (2, 0.3, toggles) }
        let trainer = try run.makeTrainer()
        try trainer.fit(trained, train: run.loader(20))

        let plain = module()
        let generator = SGD([plain.generator], learningRate: 0.1, momentum: 0.9)
        let critic = Adam([plain.critic], learningRate: 0.02)
        for epoch in 0..<2 {
            let loader = run.loader(20)
            let sampler = try loader.sampler(shuffledByDefault: true, seed: trainer.seed, epoch: epoch, shard: Shard())
            let batches = loader.batches(of: sampler)
            while let next = try batches.next(), let batch = next.batch {
                if next.index % 2 == 0 { generator.zeroGradients() }
                // Only the own parameters matter: what the other network gets is cleared before it is used.
                plain.critic.requiresGradient = !toggles
                plain.generatorLoss(batch).backward()
                plain.critic.requiresGradient = true
                if next.index % 2 == 1 { generator.step() }
                critic.zeroGradients()
                let kept = plain.generator.gradient
                plain.criticLoss(batch).backward()
                if toggles, let kept { plain.generator.setGradient(kept) }
                GradientClipping.norm(0.3).clip([plain.critic])
                critic.step()
                let count = epoch * 5 + next.index + 1
                generator.groups[0].learningRate = 0.1 * pow(0.9, Double(count))
                critic.groups[0].learningRate = 0.02 * pow(0.5, Double(count / 2))
            }
        }
        #expect(bits(trained) == bits(plain))
    }

    /// Counters say what they count.
    @Test func updatesAreCountedByOptimizerAndInAll() throws {
        let run = run()
        let trainer = try run.makeTrainer()
        try trainer.fit(module { $0.gathered = 2 }, train: run.loader(20), validation: run.loader(5))
        #expect(trainer.lightningOptimizers.map(\.updateCount) == [4, 10])
        #expect(trainer.globalStep == 14 && trainer.progress.batch == 10 && trainer.progress.samples == 40)
        #expect(trainer.strategy.reductionCount == 14)
        #expect(trainer.callbackMetrics["generator_loss_epoch"] != nil && trainer.callbackMetrics["val_loss"] != nil)
    }

    /// A limit on steps ends training after the batch that reaches it.
    @Test func stepsEndTrainingBetweenBatches() throws {
        let run = run { ($0.maxEpochs, $0.maxSteps) = (nil, 5) }
        let trainer = try run.makeTrainer()
        try trainer.fit(module(), train: run.loader(20))
        #expect(trainer.globalStep == 6 && trainer.progress.batch == 3)
    }

    /// Steps pass multiples of an interval without stopping there.
    @Test func validationComesWithTheBatchThatPassesAMultipleOfSteps() throws {
        let run = run { ($0.maxEpochs, $0.validateEverySteps, $0.sanityValidationBatches) = (1, 3, 0) }
        final class Counter: Callback {
            var steps: [Int] = []
            override func onValidationStart(_ trainer: Trainer, _ module: LightningModule) {
                steps.append(trainer.globalStep)
            }
        }
        let counter = Counter()
        let trainer = try Trainer(configuration: run.trainer, callbacks: [counter])
        try trainer.fit(module(), train: run.loader(20), validation: run.loader(4))
        #expect(counter.steps == [4, 6, 10])
    }

    /// So do checkpoints and loggers.
    @Test func checkpointsComeWithTheBatchThatPassesAMultipleOfSteps() throws {
        final class Recorder: Callback {
            var saved: [Int] = []
            override func onSaveCheckpoint(
                _ trainer: Trainer, _ module: LightningModule, _ checkpoint: inout Checkpoint
            ) { saved.append(trainer.globalStep) }
        }
        let (recorder, run) = (Recorder(), run { $0.maxEpochs = 1 })
        let checkpoint = ModelCheckpoint(everySteps: 3, directory: scratch.file("checkpoints"))
        let trainer = try Trainer(configuration: run.trainer, callbacks: [recorder, checkpoint])
        try trainer.fit(module(), train: run.loader(20))
        #expect(recorder.saved.prefix(3) == [4, 6, 10])
    }

    /// A run that is saved in the middle of an epoch and goes on ends with the same bits.
    @Test func aResumedRunGoesOnWithAllOptimizers() throws {
        let whole = module(), path = scratch.file("middle.h5")
        let first = try run().makeTrainer()
        whole.inTraining = { module, index in
            if module.currentEpoch == 1, index == 2 { try module.trainer.saveCheckpoint(path) }
        }
        try first.fit(whole, train: run().loader(20))
        let resumed = module(), second = try run().makeTrainer()
        try second.fit(resumed, train: run().loader(20), checkpoint: path)
        #expect(bits(resumed) == bits(whole))
        #expect(second.globalStep == 20 && second.lightningOptimizers.map(\.updateCount) == [10, 10])
        #expect(
            second.optimizers.map { $0.groups[0].learningRate } == first.optimizers.map { $0.groups[0].learningRate })
    }

    // MARK: - Hooks

    /// Of the hooks around an optimizer step, those that are not the trainer's.
    @Test func hooksAreThoseOfTheDocument() throws {
        let hooks = HookLog()
        let run = run { ($0.maxEpochs, $0.sanityValidationBatches, $0.logEverySteps) = (1, 0, 0) }
        let trainer = try Trainer(configuration: run.trainer, callbacks: [RecordingCallback(hooks)], loggers: [])
        try trainer.fit(module(), train: run.loader(4))
        let update = ["onBeforeBackward", "onAfterBackward", "onBeforeOptimizerStep"]
        let wanted =
            ["setup fit", "onFitStart", "onTrainStart", "onTrainEpochStart 0", "onTrainBatchStart 0"] + update + update
            + ["onTrainBatchEnd 0", "onMetricsReady optimizerStep", "onTrainEpochEnd 0", "onMetricsReady epoch"]
            + ["onTrainEnd", "onFitEnd", "teardown fit"]
        #expect(hooks.calls == wanted.map { "callback " + $0 })
    }

    // MARK: - Toggles

    @Test func aToggleGivesGradientsToOneOptimizerAlone() throws {
        let run = run { $0.maxEpochs = 1 }
        let toy = module { $0.toggles = false }
        toy.inTraining = { module, _ in
            let first = module.optimizers()[0]
            try module.withToggledOptimizer(first) {
                #expect(module.parameters.map(\.requiresGradient) == [true, false])
            }
            #expect(module.parameters.map(\.requiresGradient) == [true, true])
            // What was frozen before stays so, and a body that throws leaves nothing behind.
            module.generator.requiresGradient = false
            #expect(throws: OnPurpose.self) {
                try module.withToggledOptimizer(module.optimizers()[1]) {
                    #expect(module.parameters.map(\.requiresGradient) == [false, true])
                    throw OnPurpose("in a toggle")
                }
            }
            try module.toggleOptimizer(first)
            #expect(module.parameters.map(\.requiresGradient) == [false, false])
            try module.untoggleOptimizer(first)
            #expect(module.parameters.map(\.requiresGradient) == [false, true])
            module.generator.requiresGradient = true
        }
        try run.makeTrainer().fit(toy, train: run.loader(4))
    }

    /// Gathering gradients sums nothing.
    @Test func nothingIsSummedUnderAToggleThatSaysNo() throws {
        let run = run { $0.maxEpochs = 1 }
        let trainer = try run.makeTrainer()
        try trainer.fit(module { $0.gathered = 5 }, train: run.loader(20))
        #expect(trainer.lightningOptimizers.map(\.updateCount) == [1, 5] && trainer.strategy.reductionCount == 6)
    }

    // MARK: - Mistakes

    private func message(
        _ change: (inout Trainer.Configuration) -> Void = { _ in },
        _ inTraining: @escaping (AdversarialToy, Int) throws -> Void = { _, _ in }
    ) throws -> String? {
        let run = run(change)
        let toy = module()
        toy.inTraining = inTraining
        let trainer = try run.makeTrainer()
        return #expect(throws: TrainingError.self) { try trainer.fit(toy, train: run.loader(4)) }?.description
    }

    @Test func flagsThatTheModuleMustHeedItselfAreRefused() throws {
        #expect(
            try message { $0.gradientClipNorm = 1 }
                == "AdversarialToy applies gradients itself, so that the trainer cannot clip them: remove trainer.gradientClipNorm and trainer.gradientClipValue, and call clipGradients in the training step"
        )
        #expect(
            try message { $0.accumulateGradientBatches = 3 }
                == "AdversarialToy applies gradients itself, so that the trainer cannot gather them: remove trainer.accumulateGradientBatches, and call step() after every 3 batches in the training step"
        )
    }

    @Test func mistakesInTogglesAreErrors() throws {
        #expect(
            try message({ _ in }) { module, _ in
                try module.toggleOptimizer(module.optimizers()[0])
                try module.toggleOptimizer(module.optimizers()[1])
            } == "optimizer 0 is toggled already; untoggle it before optimizer 1 is")
        #expect(
            try message({ _ in }) { module, _ in try module.untoggleOptimizer(module.optimizers()[1]) }
                == "optimizer 1 is to be untoggled, and is not toggled")
        #expect(
            try message({ _ in }) { module, _ in
                let optimizer = module.optimizers()[0]
                try module.withToggledOptimizer(optimizer, synchronizesGradients: false) { try optimizer.step() }
            }
                == "optimizer 0 is to apply gradients under a toggle with synchronizesGradients: false; the ranks' weights would part. Apply them after the toggle"
        )
    }

    @Test func gradientsThatComeAfterTheyWereClippedAreAnError() throws {
        #expect(
            try message({ _ in }) { module, _ in
                let optimizer = module.optimizers()[0]
                optimizer.zeroGradients()
                try module.manualBackward(module.generator.value.sum())
                try module.clipGradients(optimizer, .value(0.1))
                try module.manualBackward(module.generator.value.sum())
                try optimizer.step()
            }
                == "parameter 'generator' got a gradient after the gradients of optimizer 0 were clipped, and with it summed over the ranks; clip after the last backward pass of a step"
        )
    }

    @Test func schedulesWantWhatTheyWatch() throws {
        #expect(
            try message({ _ in }) { module, _ in try module.learningRateSchedulers()[1].step(observing: 1) }
                == "learning-rate schedule 1 watches no metric: move it with step()")
    }

    @Test func anOptimizerOfTheTrainerIsNotMovedByHand() throws {
        let run = run { $0.maxEpochs = 1 }
        let toy = try ToyModule(run.module)
        toy.inTraining = { module, _, _ in try module.optimizers()[0].step() }
        let trainer = try run.makeTrainer()
        let error = #expect(throws: TrainingError.self) { try trainer.fit(toy, train: run.loader(4)) }
        #expect(
            error?.description
                == "step(): the trainer applies gradients by itself; to do it yourself, conform to ManualTrainingModule"
        )
        #expect(toy.automaticOptimization && !module().automaticOptimization)
    }

    /// A checkpoint says how many optimizers it is of.
    @Test func aCheckpointOfOtherOptimizersIsRefused() throws {
        let path = scratch.file("one.h5")
        let one = try run { $0.maxEpochs = 1 }.makeTrainer()
        let toy = module()
        try one.fit(toy, train: run().loader(4))
        try one.saveCheckpoint(path)
        final class Single: LightningModule, TrainingModule {
            let toy: AdversarialToy
            init(_ toy: AdversarialToy) { self.toy = toy }
            override var namedParts: [(name: String, part: Any)] { toy.namedParts }
            func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor { toy.criticLoss(batch) }
            func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
        }
        let trainer = try run().makeTrainer()
        let error = #expect(throws: CheckpointError.self) {
            try trainer.fit(Single(toy), train: run().loader(4), checkpoint: path)
        }
        #expect(error?.description.contains("the checkpoint has 2 optimizers, this run has 1") == true)
    }
}
