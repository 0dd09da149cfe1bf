import DataParallel
import MPI
import NN
import Optimizers
import Tensors

extension Trainer {
    /// Trains a module.
    ///
    /// - Parameters:
    ///   - module: What to train.
    ///   - train: Training batches.
    ///   - checkpoint: A checkpoint to go on from: a path, `best` or `last`.
    /// - Throws: ``Interrupted`` after a signal; whatever hooks, data or files throw. On many ranks any other error
    ///   ends the job instead of being thrown.
    public func fit<M: TrainingModule>(
        _ module: M, train: DataLoader<M.Batch>, checkpoint: String? = nil
    ) throws {
        try fit(module, data: nil, train: { train }, validation: nil, checkpoint: checkpoint)
    }

    /// Trains a module and validates it on the way.
    public func fit<M: TrainingModule & ValidationModule>(
        _ module: M, train: DataLoader<M.Batch>, validation: DataLoader<M.Batch>, checkpoint: String? = nil
    ) throws {
        let loop = EvaluationLoop(.validation, self, module, { validation }, module.validationStep)
        try fit(module, data: nil, train: { train }, validation: loop, checkpoint: checkpoint)
    }

    /// Trains a module on the data of a data module.
    public func fit<M: TrainingModule, D: TrainingData>(
        _ module: M, data: D, checkpoint: String? = nil
    ) throws where D.Batch == M.Batch {
        try fit(module, data: data, train: data.trainDataLoader, validation: nil, checkpoint: checkpoint)
    }

    /// Trains a module on the data of a data module and validates it on the way.
    public func fit<M: TrainingModule & ValidationModule, D: TrainingData & ValidationData>(
        _ module: M, data: D, checkpoint: String? = nil
    ) throws where D.Batch == M.Batch {
        let loop = EvaluationLoop(.validation, self, module, data.validationDataLoader, module.validationStep)
        try fit(module, data: data, train: data.trainDataLoader, validation: loop, checkpoint: checkpoint)
    }

    private func fit<M: TrainingModule>(
        _ module: M, data: DataPreparation, train: () throws -> DataLoader<M.Batch>,
        validation: EvaluationLoop<M.Batch>?, checkpoint: String?
    ) throws {
        try run(.fit, module, data: data) {
            resuming = try checkpoint.map { try loadCheckpoint($0) }
            if let resuming { try restoreModel(module, from: resuming) }
            try strategy.prepare(module)
            let configured = try module.configureOptimizers()
            optimizer = configured.optimizer
            schedules = configured.schedules.map(ScheduleState.init)
            logging = Logging(scope: .none("before training"), isEnabled: !configuration.barebones)
            if let resuming { try restoreTraining(from: resuming, configured.optimizer) } else { progress = .init() }
            applySchedules()
            // Made after everything that can be wrong with the request, so that a refused run leaves no directory.
            if needsRunDirectory { _ = try runDirectory() }
            try logHyperparameters(of: module)
            let loader = try train()
            let loop = TrainingLoop(
                trainer: self, module: module, optimizer: configured.optimizer, loader: loader, validation: validation)
            hasValidated = !loop.validatesInFit
            try validation?.check(limit: configuration.limitValidationBatches)
            try call({ try $0.onFitStart(self, module) }, { try module.onFitStart() })
            try sanityCheck(validation, module)
            let before = progress.samples
            trainingBegan = seconds
            try loop.run()
            samplesPerSecond = Double(progress.samples - before) / max(seconds - trainingBegan, 1e-9)
            try call({ try $0.onFitEnd(self, module) }, { try module.onFitEnd() })
            resuming = nil
        }
    }

    private var needsRunDirectory: Bool { !configuration.barebones && configuration.fastDevRun == 0 }

    /// Runs a few validation batches, so that a mistake in them shows now and not after the first epoch.
    private func sanityCheck<Batch>(_ validation: EvaluationLoop<Batch>?, _ module: LightningModule) throws {
        guard let validation, configuration.sanityValidationBatches > 0, !hasValidated, resuming == nil else { return }
        let before = logging
        isSanityChecking = true
        for callback in callbacks { try callback.onSanityCheckStart(self, module) }
        // In a random context of its own: what it draws must not move the streams of training.
        try RandomContext.$current.withValue(RandomContext(seed: configuration.seed)) {
            _ = try validation.run(
                limit: configuration.limitValidationBatches, atMost: configuration.sanityValidationBatches)
        }
        for callback in callbacks { try callback.onSanityCheckEnd(self, module) }
        isSanityChecking = false
        logging = before
    }

    private func logHyperparameters(of module: LightningModule) throws {
        guard !loggers.isEmpty, let module = module as? any HyperparameterModule else { return }
        let yaml = try YAMLText.encode(module.hyperparameters)
        for logger in loggers { try logger.logHyperparameters(yaml) }
    }
}
