import NN
import Tensors

extension Trainer {
    /// Trains for some steps with a trainer of its own, and leaves the module and the streams of random numbers as they were.
    ///
    /// Callbacks, loggers and checkpoints of this trainer have no part in it.
    func tryOut<M: TrainingModule>(
        _ module: M, train: DataLoader<M.TrainingBatch>, steps: Int, _ callback: Callback
    ) throws {
        let (weights, modes) = (module.stateDictionary, module.modes)
        var flags = configuration
        (flags.maxEpochs, flags.minEpochs, flags.maxSteps, flags.minSteps) = (nil, nil, steps, nil)
        (flags.maxSeconds, flags.fastDevRun, flags.barebones, flags.allowsNonFiniteLoss) = (nil, 0, true, true)
        (flags.profiler, flags.detectAnomaly, flags.overfitBatches) = (nil, false, nil)
        let trial = try Trainer(configuration: flags, callbacks: [callback], loggers: [])
        (trial.isTrial, trial.clock) = (true, clock)
        // In a random context of its own: what it draws must not move the streams of the training to come.
        try RandomContext.$current.withValue(RandomContext(seed: seed)) { try trial.fit(module, train: train) }
        try module.load(weights)
        module.restoreModes(modes)
        for parameter in module.parameters { parameter.clearGradient() }
    }
}
