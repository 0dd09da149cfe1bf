extension Trainer {
    /// A trainer with flags as arguments: those of ``Configuration``, under its names.
    ///
    /// What is left out has its default, which environment variables may set (``Configuration/fromEnvironment(_:)``).
    ///
    /// - Parameters:
    ///   - callbacks: Run in this order; checkpoint callbacks last.
    ///   - loggers: Loggers of one's own; nil for those of `loggerKinds`, an empty list for none.
    ///   - loggerKinds: What writes into the run's directory when there are no loggers of one's own; by default `[.csv]`.
    /// - Throws: ``TrainingError`` for flags that make no sense, `MPIError` when MPI cannot be initialised.
    public convenience init(
        maxEpochs: Int? = nil, minEpochs: Int? = nil, maxSteps: Int? = nil, minSteps: Int? = nil,
        maxSeconds: Double? = nil,
        limitTrainBatches: BatchLimit? = nil, limitValidationBatches: BatchLimit? = nil,
        limitTestBatches: BatchLimit? = nil, limitPredictBatches: BatchLimit? = nil,
        overfitBatches: BatchLimit? = nil,
        useDistributedSampler: Bool? = nil, reloadDataLoadersEveryEpochs: Int? = nil,
        validateEveryEpochs: Int? = nil, validateEveryBatches: Int? = nil, validateEverySteps: Int? = nil,
        validateEveryFraction: Double? = nil, validateEverySeconds: Double? = nil,
        sanityValidationBatches: Int? = nil, logEverySteps: Int? = nil, accumulateGradientBatches: Int? = nil,
        gradientClipNorm: Double? = nil, gradientClipValue: Double? = nil, fastDevRun: Int? = nil,
        seed: UInt64? = nil, precision: Precision? = nil, threads: Int? = nil, ranks: Int? = nil,
        allowsNonFiniteLoss: Bool? = nil, detectAnomaly: Bool? = nil, enableCheckpointing: Bool? = nil,
        enableProgressBar: Bool? = nil,
        enableModelSummary: Bool? = nil, profiler: ProfilerKind? = nil, barebones: Bool? = nil,
        defaultRootDir: String? = nil,
        callbacks: [Callback] = [], loggers: [any MetricLogger]? = nil, loggerKinds: [LoggerKind]? = nil
    ) throws {
        var flags = try Configuration.fromEnvironment()
        func set<Value>(_ flag: WritableKeyPath<Configuration, Value>, _ value: Value?) {
            if let value { flags[keyPath: flag] = value }
        }
        func set<Value>(_ flag: WritableKeyPath<Configuration, Value?>, _ value: Value?) {
            if let value { flags[keyPath: flag] = value }
        }
        set(\.maxEpochs, maxEpochs)
        set(\.minEpochs, minEpochs)
        set(\.maxSteps, maxSteps)
        set(\.minSteps, minSteps)
        set(\.maxSeconds, maxSeconds)
        set(\.limitTrainBatches, limitTrainBatches)
        set(\.limitValidationBatches, limitValidationBatches)
        set(\.limitTestBatches, limitTestBatches)
        set(\.limitPredictBatches, limitPredictBatches)
        set(\.overfitBatches, overfitBatches)
        set(\.useDistributedSampler, useDistributedSampler)
        set(\.reloadDataLoadersEveryEpochs, reloadDataLoadersEveryEpochs)
        set(\.validateEveryEpochs, validateEveryEpochs)
        set(\.validateEveryBatches, validateEveryBatches)
        set(\.validateEverySteps, validateEverySteps)
        set(\.validateEveryFraction, validateEveryFraction)
        set(\.validateEverySeconds, validateEverySeconds)
        set(\.sanityValidationBatches, sanityValidationBatches)
        set(\.logEverySteps, logEverySteps)
        set(\.accumulateGradientBatches, accumulateGradientBatches)
        set(\.gradientClipNorm, gradientClipNorm)
        set(\.gradientClipValue, gradientClipValue)
        set(\.fastDevRun, fastDevRun)
        set(\.seed, seed)
        set(\.precision, precision)
        set(\.threads, threads)
        set(\.ranks, ranks)
        set(\.allowsNonFiniteLoss, allowsNonFiniteLoss)
        set(\.detectAnomaly, detectAnomaly)
        set(\.enableCheckpointing, enableCheckpointing)
        set(\.enableProgressBar, enableProgressBar)
        set(\.enableModelSummary, enableModelSummary)
        set(\.profiler, profiler)
        set(\.barebones, barebones)
        set(\.defaultRootDir, defaultRootDir)
        set(\.loggers, loggerKinds)
        try self.init(configuration: flags, callbacks: callbacks, loggers: loggers)
    }
}
