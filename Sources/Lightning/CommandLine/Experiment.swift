import Tensors

/// What the command line can do with an experiment.
public enum RunAction: String, Sendable, CaseIterable {
    /// Train, with validation on the way.
    case fit
    /// Evaluate on the validation data.
    case validate
    /// Evaluate on the test data.
    case test
    /// Predict.
    case predict
}

/// What the command line was asked for.
public struct RunRequest: Sendable {
    /// What to do.
    public var action: RunAction
    /// The configuration file, with overrides applied.
    public var file: ConfigurationFile
    /// A path, `best` or `last`.
    public var checkpoint: String?
    /// Whether a fit is followed by a test of its best checkpoint.
    public var thenTests = false

    /// A request.
    public init(action: RunAction, file: ConfigurationFile, checkpoint: String? = nil, thenTests: Bool = false) {
        self.action = action
        self.file = file
        self.checkpoint = checkpoint
        self.thenTests = thenTests
    }
}

/// What a run came to.
public struct RunOutcome {
    /// The trainer, with its metrics and progress.
    public let trainer: Trainer
    /// The checkpoint made or used.
    public let checkpoint: String?
}

/// A module with its data, under a name the configuration file can say.
public struct Experiment {
    /// The name.
    public let name: String
    /// One line about it.
    public let summary: String
    let run: (RunRequest) throws -> RunOutcome

    /// An experiment.
    ///
    /// - Parameters:
    ///   - name: What `experiment:` says in configuration files.
    ///   - summary: One line for `--help`.
    ///   - module: Builds the module from its hyperparameters, with the data at hand (after `setup`, if it needs that).
    ///   - data: Builds the data module from its settings.
    ///   - predict: What `predict` does, when it is more than writing one row per sample to `predictions.h5`.
    public init<M, D, Settings>(
        _ name: String, summary: String, module: @escaping (M.Hyperparameters, D) throws -> M,
        data: @escaping (Settings) throws -> D, predict: ((Trainer, M, D, String?) throws -> Void)? = nil
    )
    where
        M: TrainingModule & ValidationModule & TestModule & PredictionModule & HyperparameterModule,
        D: TrainingData & ValidationData & TestData & PredictionData, D.TrainingBatch == M.TrainingBatch,
        D.ValidationBatch == M.ValidationBatch, D.TestBatch == M.TestBatch, D.PredictionBatch == M.PredictionBatch,
        M.Hyperparameters: DefaultInitializable, Settings: Codable & Sendable & DefaultInitializable
    {
        self.name = name
        self.summary = summary
        run = { request in
            typealias Configuration = RunConfiguration<M.Hyperparameters, Settings>
            let configuration = try request.file.decode(Configuration.self, default: Configuration())
            var callbacks: [Callback] = []
            if configuration.trainer.enableCheckpointing { callbacks.append(configuration.checkpoint.callback) }
            if let stopping = configuration.earlyStopping { callbacks.append(stopping.callback) }
            let trainer = try Trainer(
                configuration: configuration.trainer, callbacks: callbacks,
                configurationText: try YAMLText.encode(configuration))
            let data = try data(configuration.data)
            let module = try module(configuration.model, data)
            switch request.action {
            case .fit:
                try trainer.fit(module, data: data, checkpoint: request.checkpoint)
                if request.thenTests {
                    let best = trainer.checkpointCallback?.bestPath == nil ? nil : "best"
                    try trainer.test(module, data: data, checkpoint: best)
                }
            case .validate: try trainer.validate(module, data: data, checkpoint: request.checkpoint ?? "best")
            case .test: try trainer.test(module, data: data, checkpoint: request.checkpoint ?? "best")
            case .predict:
                let checkpoint = request.checkpoint ?? "best"
                if let predict {
                    try predict(trainer, module, data, checkpoint)
                } else {
                    let rows = try trainer.predict(module, data: data, checkpoint: checkpoint)
                    try trainer.writePredictions(rows)
                }
            }
            let used = request.action == .fit ? trainer.checkpointCallback?.bestPath : trainer.loadedCheckpoint
            return RunOutcome(trainer: trainer, checkpoint: used)
        }
    }
}
