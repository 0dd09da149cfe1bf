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
    /// Does what a request asks for.
    package let run: (RunRequest) throws -> RunOutcome

    // Of the forms that fit a module and its data the compiler takes the one that asks most of them. A parameter with a
    // default would come after a form without it, so that none has one.

    /// An experiment that can do everything; `predict` writes one row per sample to `predictions.h5`.
    ///
    /// - Parameters:
    ///   - name: What `experiment:` says in configuration files.
    ///   - summary: One line for `--help`.
    ///   - module: Builds the module from its hyperparameters, with the data at hand (after `setup`, if it needs that).
    ///   - data: Builds the data module from its settings.
    public init<M, D, Settings>(
        _ name: String, summary: String, module: @escaping (M.Hyperparameters, D) throws -> M,
        data: @escaping (Settings) throws -> D
    )
    where
        M: TrainableModule & ValidationModule & TestModule & PredictionModule & HyperparameterModule,
        D: TrainingData & ValidationData & TestData & PredictionData, D.TrainingBatch == M.TrainingBatch,
        D.ValidationBatch == M.ValidationBatch, D.TestBatch == M.TestBatch, D.PredictionBatch == M.PredictionBatch,
        M.Hyperparameters: DefaultInitializable, Settings: Codable & Sendable & DefaultInitializable
    {
        self.init(
            name, summary: summary, module: module, data: data,
            predict: { (trainer: Trainer, module: M, data: D, checkpoint: String?) in
                let rows = try trainer.predict(module, data: data, checkpoint: checkpoint)
                try trainer.writePredictions(rows)
            })
    }

    /// An experiment that can do everything, and predicts in its own way.
    ///
    /// - Parameters:
    ///   - name: What `experiment:` says in configuration files.
    ///   - summary: One line for `--help`.
    ///   - module: Builds the module from its hyperparameters, with the data at hand (after `setup`, if it needs that).
    ///   - data: Builds the data module from its settings.
    ///   - predict: What `predict` does.
    public init<M, D, Settings>(
        _ name: String, summary: String, module: @escaping (M.Hyperparameters, D) throws -> M,
        data: @escaping (Settings) throws -> D, predict: @escaping (Trainer, M, D, String?) throws -> Void
    )
    where
        M: TrainableModule & ValidationModule & TestModule & PredictionModule & HyperparameterModule,
        D: TrainingData & ValidationData & TestData & PredictionData, D.TrainingBatch == M.TrainingBatch,
        D.ValidationBatch == M.ValidationBatch, D.TestBatch == M.TestBatch, D.PredictionBatch == M.PredictionBatch,
        M.Hyperparameters: DefaultInitializable, Settings: Codable & Sendable & DefaultInitializable
    {
        self.init(
            name, summary, module, data, test: { try $0.test($1, data: $2, checkpoint: $3) }, predict: predict)
    }

    /// An experiment whose module and data train, validate and test.
    ///
    /// `predict` is an error.
    public init<M, D, Settings>(
        _ name: String, summary: String, module: @escaping (M.Hyperparameters, D) throws -> M,
        data: @escaping (Settings) throws -> D
    )
    where
        M: TrainableModule & ValidationModule & TestModule & HyperparameterModule,
        D: TrainingData & ValidationData & TestData, D.TrainingBatch == M.TrainingBatch,
        D.ValidationBatch == M.ValidationBatch, D.TestBatch == M.TestBatch,
        M.Hyperparameters: DefaultInitializable, Settings: Codable & Sendable & DefaultInitializable
    {
        self.init(
            name, summary, module, data, test: { try $0.test($1, data: $2, checkpoint: $3) }, predict: nil)
    }

    /// An experiment whose module and data train and validate.
    ///
    /// `test` and `predict` are errors, and so is a fit followed by a test.
    public init<M, D, Settings>(
        _ name: String, summary: String, module: @escaping (M.Hyperparameters, D) throws -> M,
        data: @escaping (Settings) throws -> D
    )
    where
        M: TrainableModule & ValidationModule & HyperparameterModule, D: TrainingData & ValidationData,
        D.TrainingBatch == M.TrainingBatch,
        D.ValidationBatch == M.ValidationBatch, M.Hyperparameters: DefaultInitializable,
        Settings: Codable & Sendable & DefaultInitializable
    {
        self.init(name, summary, module, data, test: nil, predict: nil)
    }

    /// An experiment that can train, validate, and what else it is given.
    private init<M, D, Settings>(
        _ name: String, _ summary: String, _ module: @escaping (M.Hyperparameters, D) throws -> M,
        _ data: @escaping (Settings) throws -> D, test: ((Trainer, M, D, String?) throws -> Void)?,
        predict: ((Trainer, M, D, String?) throws -> Void)?
    )
    where
        M: TrainableModule & ValidationModule & HyperparameterModule, D: TrainingData & ValidationData,
        D.TrainingBatch == M.TrainingBatch,
        D.ValidationBatch == M.ValidationBatch, M.Hyperparameters: DefaultInitializable,
        Settings: Codable & Sendable & DefaultInitializable
    {
        self.name = name
        self.summary = summary
        run = { request in
            // Asked for before anything is done, so that no training is lost.
            let tests = request.action == .test || request.action == .fit && request.thenTests
            if tests, test == nil {
                throw TrainingError(
                    "experiment '\(name)' cannot test: it was made of a \(M.self) that is no TestModule, or a \(D.self) that is no TestData"
                )
            }
            if request.action == .predict, predict == nil {
                throw TrainingError(
                    "experiment '\(name)' cannot predict: it was made of a \(M.self) that is no PredictionModule, or a \(D.self) that is no PredictionData"
                )
            }
            typealias Configuration = RunConfiguration<M.Hyperparameters, Settings>
            var defaults = Configuration()
            defaults.trainer = try .fromEnvironment()
            let configuration = try request.file.decode(Configuration.self, default: defaults)
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
                    try test?(trainer, module, data, best)
                }
            case .validate: try trainer.validate(module, data: data, checkpoint: request.checkpoint ?? "best")
            case .test: try test?(trainer, module, data, request.checkpoint ?? "best")
            case .predict: try predict?(trainer, module, data, request.checkpoint ?? "best")
            }
            let used = request.action == .fit ? trainer.checkpointCallback?.bestPath : trainer.loadedCheckpoint
            return RunOutcome(trainer: trainer, checkpoint: used)
        }
    }
}
