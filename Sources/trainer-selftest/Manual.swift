import Lightning
import TrainerFixtures

/// Trains two networks by hand, and says what can be compared.
func trainByHand(_ options: Options) throws {
    let run = options.run
    let trainer = try run.makeTrainer()
    let module = AdversarialToy(options.manual)
    let isLast = trainer.globalRank == trainer.worldSize - 1
    module.inTraining = { module, index in
        switch options.kind {
        case "step on one rank" where isLast && index == 1: try module.optimizers()[0].step()
        case "other order" where isLast && index == 1: try module.optimizers()[1].step()
        case "stop" where isLast && index == 1: trainer.requestStop("one rank wants it")
        default: break
        }
    }
    try trainer.fit(module, train: run.loader(run.samples), validation: run.loader(run.heldOut))
    report(trainer, "updates", trainer.lightningOptimizers.map(\.updateCount))
    report(trainer, "reductions", trainer.strategy.reductionCount)
    report(trainer, "train samples", trainer.progress.samples)
    report(trainer, "rates", trainer.optimizers.map { $0.groups[0].learningRate })
    for (key, value) in trainer.callbackMetrics.sorted(by: { $0.key < $1.key }) {
        report(trainer, "metric \(key)", value)
    }
    try trainer.saveCheckpoint(run.directory + "/" + options.final)
    let bits = module.parameters.flatMap { $0.value.doubles }.map(\.bitPattern)
    let all = try trainer.strategy.gather("\(bits)", tag: "weights")
    report(trainer, "ranks with rank 0's weights", all.filter { $0 == all[0] }.count)
}
