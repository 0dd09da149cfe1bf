import DataParallel
import MPI
import NN
import Tensors

extension Trainer {
    /// Validates a module: every sample exactly once, on any number of ranks.
    ///
    /// - Parameters:
    ///   - module: What to validate.
    ///   - loader: The batches.
    ///   - checkpoint: Weights to load first: a path, `best` or `last`; nil validates the module as it is.
    /// - Returns: The logged metrics, the same on all ranks.
    @discardableResult
    public func validate<M: ValidationModule>(
        _ module: M, _ loader: DataLoader<M.ValidationBatch>, checkpoint: String? = nil
    ) throws -> [String: Double] {
        try evaluate(.validation, .validate, module, nil, { loader }, module.validationStep, checkpoint)
    }

    /// Validates a module on the data of a data module.
    @discardableResult
    public func validate<M: ValidationModule, D: ValidationData>(
        _ module: M, data: D, checkpoint: String? = nil
    ) throws -> [String: Double] where D.ValidationBatch == M.ValidationBatch {
        try evaluate(.validation, .validate, module, data, data.validationDataLoader, module.validationStep, checkpoint)
    }

    /// Validates a module on several loaders, one after the other; their metrics have `/dataloader_idx_N` behind the name.
    @discardableResult
    public func validate<M: ValidationModule>(
        _ module: M, _ loaders: [DataLoader<M.ValidationBatch>], checkpoint: String? = nil
    ) throws -> [String: Double] {
        try validate(module, DataLoader(sequential: loaders), checkpoint: checkpoint)
    }

    /// Validates a module on the data it brings itself.
    @discardableResult
    public func validate<M: ValidationModule & ValidationSource>(
        _ module: M, checkpoint: String? = nil
    ) throws -> [String: Double] {
        try evaluate(
            .validation, .validate, module, nil, module.validationDataLoader, module.validationStep, checkpoint)
    }

    /// Tests a module: every sample exactly once, on any number of ranks.
    @discardableResult
    public func test<M: TestModule>(
        _ module: M, _ loader: DataLoader<M.TestBatch>, checkpoint: String? = nil
    ) throws -> [String: Double] {
        try evaluate(.test, .test, module, nil, { loader }, module.testStep, checkpoint)
    }

    /// Tests a module on the data of a data module.
    @discardableResult
    public func test<M: TestModule, D: TestData>(
        _ module: M, data: D, checkpoint: String? = nil
    ) throws -> [String: Double] where D.TestBatch == M.TestBatch {
        try evaluate(.test, .test, module, data, data.testDataLoader, module.testStep, checkpoint)
    }

    /// Tests a module on several loaders, one after the other; their metrics have `/dataloader_idx_N` behind the name.
    @discardableResult
    public func test<M: TestModule>(
        _ module: M, _ loaders: [DataLoader<M.TestBatch>], checkpoint: String? = nil
    ) throws -> [String: Double] {
        try test(module, DataLoader(sequential: loaders), checkpoint: checkpoint)
    }

    /// Tests a module on the data it brings itself.
    @discardableResult
    public func test<M: TestModule & TestSource>(_ module: M, checkpoint: String? = nil) throws -> [String: Double] {
        try evaluate(.test, .test, module, nil, module.testDataLoader, module.testStep, checkpoint)
    }

    /// Predicts for every sample.
    ///
    /// Of several loaders the rows are one after the other.
    /// - Returns: One row per sample in the order of the data set, on every rank; nil when there were no samples.
    @discardableResult
    public func predict<M: PredictionModule>(
        _ module: M, _ loader: DataLoader<M.PredictionBatch>, checkpoint: String? = nil
    ) throws -> Tensor? {
        try predict(module, nil, { loader }, checkpoint)
    }

    /// Predicts for every sample of several loaders.
    ///
    /// - Returns: The rows of each loader, on every rank; nil where there were no samples.
    @discardableResult
    public func predict<M: PredictionModule>(
        _ module: M, _ loaders: [DataLoader<M.PredictionBatch>], checkpoint: String? = nil
    ) throws -> [Tensor?] {
        let rows = try predict(module, DataLoader(sequential: loaders), checkpoint: checkpoint)
        var start = 0
        return predictedSampleCounts.map { count in
            defer { start += count }
            return count == 0 ? nil : rows?.slice(start..<(start + count))
        }
    }

    /// Predicts for every sample of the data the module brings itself.
    @discardableResult
    public func predict<M: PredictionModule & PredictionSource>(
        _ module: M, checkpoint: String? = nil
    ) throws -> Tensor? {
        try predict(module, nil, module.predictDataLoader, checkpoint)
    }

    /// Predicts for every sample of a data module.
    @discardableResult
    public func predict<M: PredictionModule, D: PredictionData>(
        _ module: M, data: D, checkpoint: String? = nil
    ) throws -> Tensor? where D.PredictionBatch == M.PredictionBatch {
        try predict(module, data, data.predictDataLoader, checkpoint)
    }

    /// A prediction of one's own kind: with data prepared, weights loaded, in evaluation mode and without gradients.
    ///
    /// - Parameters:
    ///   - module: What to predict with.
    ///   - data: Prepared and set up for prediction.
    ///   - checkpoint: Weights to load first: a path, `best` or `last`; nil takes the module as it is.
    ///   - body: Does the rest, on every rank.
    public func predict<Result>(
        _ module: LightningModule, data: LightningDataModule? = nil, checkpoint: String? = nil,
        _ body: () throws -> Result
    ) throws -> Result {
        try run(.predict, module, data: data) {
            if let checkpoint { try loadWeights(module, from: checkpoint) }
            let modes = module.modes
            let result = try withoutGradient {
                try module.onPredictModelEvaluate()
                return try body()
            }
            module.restoreModes(modes)
            try module.onPredictModelTrain()
            return result
        }
    }

    private func evaluate<Batch: DataBatch>(
        _ stage: EvaluationStage, _ kind: RunStage, _ module: LightningModule, _ data: LightningDataModule?,
        _ loader: @escaping () throws -> DataLoader<Batch>, _ step: @escaping EvaluationLoop<Batch>.Step,
        _ checkpoint: String?
    ) throws -> [String: Double] {
        try run(kind, module, data: data) {
            if let checkpoint { try restoreModel(module, from: loadCheckpoint(checkpoint, weightsOnly: true)) }
            try strategy.prepareForInference(module)
            let loop = EvaluationLoop(stage, self, module, loaders(loader), step)
            if !isTrial, let hint = try orderHint(loop, stage.name) { print("note: " + hint) }
            let results = try loop.run(
                limit: kind == .test ? configuration.limitTestBatches : configuration.limitValidationBatches)
            if configuration.enableProgressBar { print(ResultsTable.text(title: stage.name, results)) }
            return results
        }
    }

    private func predict<M: PredictionModule>(
        _ module: M, _ data: LightningDataModule?, _ loader: @escaping () throws -> DataLoader<M.PredictionBatch>,
        _ checkpoint: String?
    ) throws -> Tensor? {
        try run(.predict, module, data: data) {
            if let checkpoint { try restoreModel(module, from: loadCheckpoint(checkpoint, weightsOnly: true)) }
            try strategy.prepareForInference(module)
            return try PredictionLoop(trainer: self, module: module, loader: loader()).run()
        }
    }
}
