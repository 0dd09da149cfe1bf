import Checkpoints
import Foundation
import Lightning
import Synchronization
import TrainerFixtures

/// Prints a `key: value` line on rank 0.
func report(_ trainer: Trainer, _ key: String, _ value: some Any) {
    if trainer.isGlobalZero { print("\(key): \(value)") }
}

/// Trains, tests and predicts, and says everything that can be compared.
func train(_ options: Options) throws {
    let run = options.run
    let trainer = try run.makeTrainer()
    if options.hasOwnWeights { seedEverything(UInt64(trainer.globalRank)) }
    let module = try ToyModule(run.module)
    if let end = options.end {
        module.inTraining = { module, _, _ in
            guard module.globalStep == end.step, trainer.globalRank == trainer.worldSize - 1 else { return }
            let mark = options.run.directory + "/killed"
            if options.endsOnce, FileManager.default.fileExists(atPath: mark) { return }
            try Data().write(to: URL(fileURLWithPath: mark))
            kill(getpid(), end.signal)
        }
    }
    try trainer.fit(
        module, train: run.loader(run.samples), validation: run.heldOutLoader(), checkpoint: run.resuming)
    report(trainer, "reductions", trainer.strategy.reductionCount)
    report(trainer, "steps", trainer.globalStep)
    report(trainer, "epochs", trainer.currentEpoch)
    report(trainer, "train samples", trainer.progress.samples)
    let metrics = trainer.callbackMetrics
    try trainer.saveCheckpoint(options.run.directory + "/" + options.final)
    let tested = try trainer.test(module, run.heldOutLoader())
    let predictions = try trainer.predict(module, run.heldOutLoader())
    for (key, value) in metrics.merging(tested, uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }) {
        report(trainer, "metric \(key)", value)
    }
    for stage in module.seen.keys.sorted() where trainer.isGlobalZero { print("stage: \(stage)") }
    for stage in (0..<trainer.currentEpoch).map({ "train \($0)" }) + ["val", "test", "predict"] {
        let own = (module.seen[stage] ?? []).map(String.init).joined(separator: " ")
        let all = try trainer.strategy.gather(own, tag: "samples seen").joined(separator: " ")
        report(trainer, "seen \(stage)", all.split(separator: " ").compactMap { Int($0) }.sorted())
    }
    if let predictions, trainer.isGlobalZero {
        var file = Checkpoint()
        file.model["predictions"] = predictions
        try file.write(to: options.run.directory + "/predictions-" + options.final)
    }
    // Every rank has the same weights at the end, to the bit.
    let bytes = module.stateDictionary.flatMap { $0.tensor.doubles }.map { $0.bitPattern }
    let texts = try trainer.strategy.gather("\(bytes)", tag: "weights")
    report(trainer, "ranks with rank 0's weights", texts.filter { $0 == texts[0] }.count)
}

/// Trains with one fault of one rank, the last.
func trainWithFault(_ options: Options) throws {
    var run = options.run
    run.trainer.sanityValidationBatches = 0
    let trainer = try run.makeTrainer()
    let isCulprit = trainer.globalRank == trainer.worldSize - 1
    switch options.kind {
    case "model" where isCulprit: run.module.hidden += 1
    case "frozen" where isCulprit: run.module.isBiasFrozen = true
    case "read" where isCulprit: run.failing = 13
    default: break
    }
    let module = try ToyModule(run.module)
    module.inTraining = { module, _, index in
        if options.kind == "terminate mpirun" { usleep(100_000) }  // mpirun needs its time to pass a signal on
        guard isCulprit, module.currentEpoch == 1, index == 1 else { return }
        switch options.kind {
        case "throw": throw OnPurpose("thrown in a training step")
        case "kill": kill(getpid(), SIGKILL)
        case "gather": _ = try module.allGather(Tensor([1.0]))
        case "exit": exit(0)
        case "freeze": module.parameters[1].requiresGradient = false
        case "metric": module.log("only_here", 1, onEpoch: true)
        case "terminate": kill(getpid(), SIGTERM)
        case "terminate mpirun": kill(getppid(), SIGTERM)
        default: break
        }
    }
    module.beforeBackward = { module in
        guard module.currentEpoch == 1 else { return }
        switch options.kind {
        case "gather before backward" where isCulprit: _ = try module.allGather(Tensor([1.0]))
        case "gather before backward on all": _ = try module.allGather(Tensor([1.0]))
        case "exit before backward" where isCulprit: exit(0)
        case "unfreeze" where isCulprit: module.parameters[1].requiresGradient = true
        default: break
        }
    }
    if options.kind == "two backwards" {
        module.inBackward = { module, loss in
            loss.backward(keepingGraph: true)
            if module.currentEpoch == 1 { loss.backward() }
        }
    }
    if options.kind == "unfreeze" {
        // Its graph is recorded while it can be trained, and the step begins while it is frozen.
        module.inTraining = { module, _, _ in module.parameters[1].requiresGradient = true }
        module.inLoss = { module in module.parameters[1].requiresGradient = false }
    }
    module.inValidation = { module, _, index in
        if isCulprit, options.kind == "throw in validation", module.currentEpoch == 1, index == 1 {
            throw OnPurpose("thrown in a validation step")
        }
    }
    module.atEpochEnd = { _ in report(trainer, "epoch ended", trainer.currentEpoch) }
    try trainer.fit(module, train: run.loader(run.samples), validation: run.loader(run.heldOut))
    report(trainer, "finished", trainer.globalStep)
}

/// Trains while one rank skips, stops, or prints.
func control(_ options: Options) throws {
    let run = options.run
    let trainer = try run.makeTrainer()
    let isLast = trainer.globalRank == trainer.worldSize - 1
    let module = try ToyModule(run.module)
    module.atBatchStart = { index in
        if options.kind == "skip epoch on one rank", isLast, index == 1 { throw SkipRestOfEpoch() }
    }
    module.inTraining = { module, _, index in
        switch options.kind {
        case "skip on one rank" where isLast && index == 1: throw SkipBatch()
        case "skip on all ranks" where index == 1: throw SkipBatch()
        case "irregular" where module.currentEpoch == 1:
            if index == 0 || isLast && index == 2 { throw SkipBatch() }
        case "stop" where isLast && module.currentEpoch == 1 && index == 1: trainer.requestStop("one rank wants it")
        case "own metric":
            // Falls on rank 0 and rises on the others.
            let sign = trainer.isGlobalZero ? -1.0 : 1.0
            module.log("own", sign * Double(trainer.progress.batch), onStep: true, onEpoch: false)
        case "slow", "very slow":
            // Longer than mpirun lets a rank live after SIGTERM. A sleep of the system would end at the signal.
            guard module.globalStep == 1 else { break }
            FileHandle.standardOutput.write(Data("pid \(getpid())\n".utf8))
            let end = Date() + (options.kind == "slow" ? 2 : 60)
            while Date() < end { usleep(10_000) }
        case "interrupt": if index == 1 { kill(getpid(), SIGINT) }
        case "print" where index == 0: module.print("printed in epoch \(module.currentEpoch)")
        default: break
        }
    }
    try trainer.fit(module, train: run.loader(run.samples), validation: run.loader(run.heldOut))
    let steps = try trainer.strategy.gather("\(trainer.globalStep)", tag: "steps")
    report(trainer, "steps by rank", steps.joined(separator: " "))
    let best = try trainer.strategy.gather("\(trainer.checkpointCallback?.bestScore ?? 0)", tag: "best score")
    report(trainer, "best by rank", best.joined(separator: " "))
    report(trainer, "reason", trainer.stopReason ?? "none")
    report(trainer, "train samples", trainer.progress.samples)
    let irregular = trainer.irregularBatches
    report(trainer, "irregular", "\(irregular.skipped) \(irregular.nonFiniteLosses)")
    try trainer.saveCheckpoint(options.run.directory + "/" + options.final)
}

/// A module whose rank 0 takes longer than the watchdog bears, in preparing data or elsewhere.
private final class SlowModule: LightningModule, TrainingModule {
    private let weight = Parameter(Tensor([1.0]))
    private let place: String

    init(_ place: String) {
        self.place = place
        super.init()
    }

    private func wait(in place: String) { if self.place == place, globalRank == 0 { usleep(2_500_000) } }

    override func prepareData() { wait(in: "prepareData") }
    override func setup(_ stage: RunStage) { wait(in: "setup") }
    func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor { weight.value.sum() }
    func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
}

/// Trains while the watchdog has little patience.
func trainSlowly(_ options: Options) throws {
    World.watchdogLimits.withLock { $0 = (.milliseconds(400), .milliseconds(1200)) }
    let trainer = try options.run.makeTrainer()
    try trainer.fit(SlowModule(options.kind), train: options.run.loader(options.run.samples))
    report(trainer, "finished", trainer.globalStep)
}

/// A module whose only metric is logged by the last rank alone.
private final class OneSidedModule: LightningModule, TrainingModule, ValidationModule {
    private let weight = Parameter(Tensor([1.0]))

    func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor { weight.value.sum() }
    func validationStep(_ batch: NumberedBatch, batchIndex: Int) {
        if globalRank == worldSize - 1 { log("only_here", 1) }
    }
    func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
}

/// Trains a module that logs on one rank only.
func trainOneSided(_ options: Options) throws {
    var run = options.run
    run.trainer.sanityValidationBatches = 0
    let trainer = try run.makeTrainer()
    try trainer.fit(OneSidedModule(), train: run.loader(run.samples), validation: run.loader(run.heldOut))
}

/// How often this program's own handler of SIGUSR1 was called.
private let ownSignals = Atomic<Int>(0)

/// Trains in a program that has a handler of its own for SIGUSR1, and sees whether it still has it.
func keepHandlers(_ options: Options) throws {
    signal(SIGUSR1) { _ in ownSignals.add(1, ordering: .relaxed) }
    let trainer = try options.run.makeTrainer()
    try trainer.fit(ToyModule(options.run.module), train: options.run.loader(options.run.samples))
    raise(SIGUSR1)
    report(trainer, "own signals", ownSignals.load(ordering: .relaxed))
}

/// Makes a model ready for evaluation whose weights differ between the ranks.
func prepareForInference(_ options: Options) throws {
    let trainer = try options.run.makeTrainer()
    seedEverything(UInt64(trainer.globalRank))
    let module = try ToyModule(options.run.module)
    let before = MemoryPool.counts.bytesInUse
    try trainer.strategy.prepareForInference(module)
    let taken = MemoryPool.counts.bytesInUse - before
    let values = module.parameters.flatMap { $0.value.doubles }
    let texts = try trainer.strategy.gather("\(values)", tag: "weights")
    report(trainer, "ranks with rank 0's weights", texts.filter { $0 == texts[0] }.count)
    report(trainer, "gradients", module.parameters.count { $0.gradient != nil })
    report(trainer, "bytes", try trainer.strategy.gather("\(taken)", tag: "bytes").joined(separator: " "))
}
