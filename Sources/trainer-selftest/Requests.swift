import Lightning
import TrainerFixtures

/// Makes requests that probably mean something else, for the notes about them.
func showHints(_ options: Options) throws {
    let run = options.run
    let trainer = try run.makeTrainer()
    let module = try ToyModule(run.module)
    switch options.kind {
    case "no validation": try trainer.fit(module, train: run.loader(run.samples))
    case "evaluating":
        module.evaluate()
        try run.makeTrainer().fit(module, train: run.loader(run.samples), validation: run.heldOutLoader())
    case "shuffled":
        let shuffled = DataLoader(NumberedDataset(count: run.heldOut), batchSize: 4, shuffles: true)
        try trainer.fit(module, train: run.loader(run.samples), validation: shuffled)
        try trainer.test(module, shuffled)
    default: try trainer.fit(module, train: run.loader(run.samples), validation: run.heldOutLoader())
    }
}

/// Trains with a clock that a step moves on: by a second on rank 0, by much more elsewhere.
func validateByTheClock(_ options: Options) throws {
    let trainer = try options.run.makeTrainer()
    let module = try ToyModule(options.run.module)
    var time = 0.0
    var validated: [Int] = []
    trainer.clock = { time }
    module.inTraining = { _, _, _ in time += trainer.isGlobalZero ? 1 : 100 }
    module.inValidation = { module, _, index in if index == 0 { validated.append(module.globalStep) } }
    try trainer.fit(
        module, train: options.run.loader(options.run.samples), validation: options.run.heldOutLoader())
    let all = try trainer.strategy.gather("\(validated)", tag: "steps with a validation")
    report(trainer, "validated", all.joined(separator: " "))
    report(trainer, "communication", trainer.strategy.communication)
}

/// A loss of 1, which one rank finds a hundred times larger once.
private final class JumpingModule: LightningModule, TrainingModule {
    private let weight = Parameter(Tensor([0.0]))

    func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
        let jumps = globalRank == worldSize - 1 && currentEpoch == 1 && batchIndex == 1
        return weight.value.sum() + (jumps ? 100 : 1)
    }
    func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0)) }
}

/// Trains until a rank's loss jumps.
func trainToASpike(_ options: Options) throws {
    var run = options.run
    run.callbacks = [SpikeDetection(file: run.directory + "/spikes.json")]
    try run.makeTrainer().fit(JumpingModule(), train: run.loader(run.samples))
}

/// Searches for a batch size with a clock by which a step takes a second and a tenth more for each sample of a rank.
func findBatchSizes(_ options: Options) throws {
    let trainer = try options.run.makeTrainer()
    let module = try ToyModule(options.run.module)
    var time = 0.0
    trainer.clock = { time }
    module.inTraining = { _, batch, _ in
        time += 1 + 0.1 * Double(batch.sampleCount) * (trainer.isGlobalZero ? 1 : 7)
    }
    let curve = try trainer.findBatchSize(module, memory: .infinity) { size in
        DataLoader(NumberedDataset(count: options.run.samples), batchSize: .perRank(size), dropsLast: true)
    }
    let all = try trainer.strategy.gather("\(curve.suggestion) \(curve.end) \(curve.sizes)", tag: "sizes found")
    report(trainer, "sizes", all.joined(separator: " | "))
}
