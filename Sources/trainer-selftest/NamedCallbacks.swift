import Lightning
import TrainerFixtures

/// Callbacks as an argument can name them.
func makeCallback(_ name: String, directory: String) throws -> Callback {
    switch name {
    case "ema": EMAWeightAveraging(decay: 0.8, startStep: 3)
    case "swa": StochasticWeightAveraging(learningRate: 0.02, start: .epoch(1), annealingEpochs: 2)
    case "accumulation": GradientAccumulationScheduler([1: 3, 2: 2])
    case "rates": LearningRateMonitor()
    case "device": DeviceStatsMonitor()
    case "writer": PredictionWriter(path: directory + "/written.h5", returnsPredictions: true)
    case "exception": OnExceptionCheckpoint(directory: directory + "/saved")
    default: throw OnPurpose("there is no callback '\(name)'")
    }
}

/// Searches for a learning rate.
func findRate(_ options: Options) throws {
    let trainer = try options.run.makeTrainer()
    let module = try ToyModule(options.run.module)
    let curve = try trainer.findLearningRate(
        module, train: options.run.loader(options.run.samples), range: 1e-4...1, steps: 30, stopsAt: nil)
    report(trainer, "rates", curve.rates.count)
    report(trainer, "suggestion", curve.suggestion().map { "\($0)" } ?? "none")
}
