import Foundation
import Lightning
import TrainerFixtures

/// Copies the files of all loggers at each checkpoint: what of the log a run that goes on from there must not repeat.
private final class LogKeeper: Callback {
    private let directory: String

    init(directory: String) { self.directory = directory }

    override func onSaveCheckpoint(_ trainer: Trainer, _ module: LightningModule, _ checkpoint: inout Checkpoint) throws
    {
        let files = FileManager.default
        for (name, path) in [("run", try trainer.runDirectory()), ("mlruns", directory + "/mlruns")] {
            let copy = directory + "/kept/" + name
            try? files.removeItem(atPath: copy)
            try files.createDirectory(atPath: directory + "/kept", withIntermediateDirectories: true)
            if files.fileExists(atPath: path) { try files.copyItem(atPath: path, toPath: copy) }
        }
    }
}

/// Trains with every callback that has a state, and every logger.
func trainStateful(_ options: Options) throws {
    var run = options.run
    run.trainer.loggers = LoggerKind.allCases
    let averages: Callback =
        options.kind == "swa"
        ? StochasticWeightAveraging(learningRate: 0.01, start: .epoch(2), annealingEpochs: 2)
        : EMAWeightAveraging(decay: 0.8, everySteps: 2, startStep: 3)
    let watcher = LambdaCallback(
        onTrainEpochEnd: { trainer, module in module.log("epochs_begun", Double(trainer.currentEpoch + 1)) },
        onValidationEpochEnd: { trainer, module in module.log("steps_before", Double(trainer.globalStep)) })
    run.callbacks += [
        averages,
        BackboneFinetuning(\StatefulModule.backbone, unfreezeAtEpoch: 1, ratio: 0.5),
        GradientAccumulationScheduler([0: 2, 1: 3, 2: 1]),
        LearningRateMonitor(logsMomentum: true), ThroughputMonitor(window: 3), DeviceStatsMonitor(),
        TrainingTimer(seconds: 1000), OnExceptionCheckpoint(directory: run.directory + "/failed"), watcher,
        EarlyStopping(monitor: "val_loss", patience: 90),
        // Nothing is ever so much better: it counts validations, and ends the run.
        EarlyStopping(monitor: "val_loss", mode: .max, patience: 8, minimumChange: 1e9),
        LogKeeper(directory: run.directory),
    ]
    let trainer = try run.makeTrainer()
    let module = StatefulModule()
    if let end = options.end {
        module.inTraining = { module in
            guard module.globalStep == end.step, trainer.globalRank == trainer.worldSize - 1 else { return }
            kill(getpid(), end.signal)
        }
    }
    try trainer.fit(
        module, train: run.loader(run.samples), validation: run.loader(run.heldOut), checkpoint: run.resuming)
    report(trainer, "steps", trainer.globalStep)
    report(trainer, "epochs", trainer.currentEpoch)
    report(trainer, "reason", trainer.stopReason ?? "none")
    let timer = trainer.callbacks.lazy.compactMap { $0 as? TrainingTimer }.first
    report(trainer, "seconds", timer?.elapsed() ?? 0)
    try trainer.saveCheckpoint(run.directory + "/" + options.final)
}
