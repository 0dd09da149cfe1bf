import Foundation
import Lightning
import TrainerFixtures

/// Trains a module that logs metrics, and says their values.
func trainWithMetrics(_ options: Options) throws {
    let run = options.run
    let trainer = try run.makeTrainer()
    let module = MetricModule()
    if let end = options.end {
        module.inTraining = { module in
            guard module.globalStep == end.step, trainer.globalRank == trainer.worldSize - 1 else { return }
            kill(getpid(), end.signal)
        }
    }
    try trainer.fit(
        module, train: run.loader(run.samples), validation: run.loader(run.heldOut), checkpoint: run.resuming)
    for (key, value) in trainer.callbackMetrics.sorted(by: { $0.key < $1.key }) {
        report(trainer, "metric \(key)", value)
        let all = try trainer.strategy.gather("\(value)", tag: "values")
        report(trainer, "ranks with \(key)", all.count { $0 == all[0] })
    }
    report(trainer, "metric confusion", module.lastConfusion)
    let left = module.namedMetrics.filter { $0.metric.state != $0.metric.state.cleared }.map(\.name)
    report(trainer, "metrics not reset", left)
}
