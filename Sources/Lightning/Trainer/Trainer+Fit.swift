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
    public func fit<M: TrainableModule>(
        _ module: M, train: DataLoader<M.TrainingBatch>, checkpoint: String? = nil
    ) throws {
        try fit(module, data: nil, train: { train }, validation: nil, checkpoint: checkpoint)
    }

    /// Trains a module and validates it on the way.
    public func fit<M: TrainableModule & ValidationModule>(
        _ module: M, train: DataLoader<M.TrainingBatch>, validation: DataLoader<M.ValidationBatch>,
        checkpoint: String? = nil
    ) throws {
        let loop = EvaluationLoop(.validation, self, module, loaders { validation }, module.validationStep)
        try fit(module, data: nil, train: { train }, validation: loop, checkpoint: checkpoint)
    }

    /// Trains a module and validates it on the way, on the data of several loaders one after the other.
    public func fit<M: TrainableModule & ValidationModule>(
        _ module: M, train: DataLoader<M.TrainingBatch>, validation: [DataLoader<M.ValidationBatch>],
        checkpoint: String? = nil
    ) throws {
        try fit(module, train: train, validation: DataLoader(sequential: validation), checkpoint: checkpoint)
    }

    /// Trains a module on the data it brings itself.
    public func fit<M: TrainableModule & TrainingSource>(_ module: M, checkpoint: String? = nil) throws {
        try fit(module, data: nil, train: module.trainDataLoader, validation: nil, checkpoint: checkpoint)
    }

    /// Trains a module on the data it brings itself, and validates it on the way.
    public func fit<M: TrainableModule & TrainingSource & ValidationModule & ValidationSource>(
        _ module: M, checkpoint: String? = nil
    ) throws {
        let loop = EvaluationLoop(
            .validation, self, module, loaders(module.validationDataLoader), module.validationStep)
        try fit(module, data: nil, train: module.trainDataLoader, validation: loop, checkpoint: checkpoint)
    }

    /// Trains a module on the data of a data module.
    public func fit<M: TrainableModule, D: TrainingData>(
        _ module: M, data: D, checkpoint: String? = nil
    ) throws where D.TrainingBatch == M.TrainingBatch {
        try fit(module, data: data, train: data.trainDataLoader, validation: nil, checkpoint: checkpoint)
    }

    /// Trains a module on the data of a data module and validates it on the way.
    public func fit<M: TrainableModule & ValidationModule, D: TrainingData & ValidationData>(
        _ module: M, data: D, checkpoint: String? = nil
    ) throws where D.TrainingBatch == M.TrainingBatch, D.ValidationBatch == M.ValidationBatch {
        let loop = EvaluationLoop(
            .validation, self, module, loaders(data.validationDataLoader), module.validationStep)
        try fit(module, data: data, train: data.trainDataLoader, validation: loop, checkpoint: checkpoint)
    }

    private func fit<M: TrainableModule>(
        _ module: M, data: LightningDataModule?, train: @escaping () throws -> DataLoader<M.TrainingBatch>,
        validation: (any Evaluation)?, checkpoint: String?
    ) throws {
        try run(.fit, module, data: data) {
            let saved = try checkpoint.flatMap { try checkpointToResume($0) }
            isResuming = saved != nil
            if let saved {
                if let data, let state = saved.values["data \(type(of: data))"] { try data.loadState(state) }
                try restoreModel(module, from: saved)
            }
            try strategy.prepare(module)
            accumulateGradientBatches = configuration.accumulateGradientBatches
            (suspendsSchedules, isUpdating) = (false, false)
            (irregularBatches, irregularSoFar, searchedOptimizers) = (IrregularBatches(), IrregularBatches(), [])
            let optimization = try configureOptimization(of: module)
            logging = Logging(scope: .none("before training"), isEnabled: !configuration.barebones)
            let source = loaders(train)
            let validation = try validationOfFit(validation, source)
            progress = try saved?.get("run", as: RunState.self)?.progress ?? .init()
            let loader = try source.loader(inEpoch: progress.epoch)
            let sampler = try sampler(of: loader, shuffledByDefault: true, epoch: epochOfData)
            globalBatchSize = sampler.globalBatchSize
            secondsSinceValidation = 0
            // Rates of a run that goes on are as they were: callbacks may have set them otherwise than schedules would.
            if let saved { try restoreTraining(from: saved) } else { applySchedules() }
            let loop = TrainingLoop(
                trainer: self, module: module, optimization: optimization, source: source, validation: validation)
            trainBatchCount = try trainBatches(of: sampler)
            hasValidated = !loop.validatesInFit
            try validation?.check(limit: configuration.limitValidationBatches)
            // Made after everything that can be wrong with the request, so that a refused run leaves no directory.
            if needsRunDirectory { _ = try runDirectory() }
            try openProfile(.fit)
            for hint in try hints(module, validation, batches: trainBatchCount) { print("note: " + hint) }
            try logHyperparameters(of: module)
            try call(.onFitStart, { try $0.onFitStart(self, module) }, { try module.onFitStart() })
            try sanityCheck(validation, module)
            let before = progress.samples
            trainingBegan = seconds
            validationClockBegan = seconds - secondsSinceValidation
            passOverTrainingData = loop.passOverData
            defer { passOverTrainingData = nil }
            try loop.run()
            samplesPerSecond = Double(progress.samples - before) / max(seconds - trainingBegan, 1e-9)
            try call(.onFitEnd, { try $0.onFitEnd(self, module) }, { try module.onFitEnd() })
        }
    }

    /// Batches of an epoch.
    ///
    /// - Throws: ``TrainingError`` when there are none although some were asked for.
    func trainBatches<Batch>(of sampler: EpochSampler<Batch>) throws -> Int {
        let count = try configuration.limitTrainBatches.count(of: sampler.batchCount, what: "trainer.limitTrainBatches")
        guard count > 0 || configuration.limitTrainBatches == .batches(0) else {
            throw TrainingError(
                "there is nothing to train on: \(sampler.count) samples make no batch of \(sampler.globalBatchSize)"
            )
        }
        if sampler.isStream {
            guard count < .max || configuration.validateEveryFraction == nil else {
                throw TrainingError(
                    "trainer.validateEveryFraction is a fraction of an epoch, and nobody knows how long that of a stream is; set trainer.validateEveryBatches or trainer.limitTrainBatches"
                )
            }
            return count
        }
        if manualState != nil, let short = (0..<count).first(where: { sampler.globalCount(ofBatch: $0) < worldSize }) {
            let name = short == count - 1 ? "the last batch" : "batch \(short)"
            throw TrainingError(
                "\(name) has \(sampler.globalCount(ofBatch: short)) samples for \(worldSize) ranks, and a module that applies gradients itself needs one on each; give the training loader dropsLast: true, or batches of another size"
            )
        }
        return count
    }

    /// A hook for a loader, asked as often as the flags say.
    func loaders<Batch>(_ hook: @escaping () throws -> DataLoader<Batch>) -> LoaderSource<Batch> {
        LoaderSource(reloadsEvery: configuration.reloadDataLoadersEveryEpochs, hook)
    }

    /// What a fit validates on: with `overfitBatches`, the batches it trains on.
    private func validationOfFit(_ validation: (any Evaluation)?, _ training: Any) throws -> (any Evaluation)? {
        guard configuration.overfitBatches != nil, configuration.limitValidationBatches != .batches(0) else {
            return validation
        }
        return try validation?.onTrainingData(training)
    }

    private var needsRunDirectory: Bool { !configuration.barebones && configuration.fastDevRun == 0 }

    /// Runs a few validation batches, so that a mistake in them shows now and not after the first epoch.
    private func sanityCheck(_ validation: (any Evaluation)?, _ module: LightningModule) throws {
        guard let validation, configuration.sanityValidationBatches > 0, !hasValidated, !isResuming else { return }
        let before = logging
        isSanityChecking = true
        try callCallbacks(.onSanityCheckStart) { try $0.onSanityCheckStart(self, module) }
        // In a random context of its own: what it draws must not move the streams of training.
        try RandomContext.$current.withValue(RandomContext(seed: seed)) {
            _ = try validation.run(
                limit: configuration.limitValidationBatches, atMost: configuration.sanityValidationBatches)
        }
        try callCallbacks(.onSanityCheckEnd) { try $0.onSanityCheckEnd(self, module) }
        isSanityChecking = false
        logging = before
    }

    private func logHyperparameters(of module: LightningModule) throws {
        guard !loggers.isEmpty, let module = module as? any SavedHyperparameters else { return }
        let yaml = try YAMLText.encode(module.hyperparameters)
        for logger in loggers { try logger.logHyperparameters(yaml) }
    }
}
