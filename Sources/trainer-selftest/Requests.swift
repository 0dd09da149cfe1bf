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
