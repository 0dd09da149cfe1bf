import Optimizers

extension Trainer {
    /// All flags of a trainer.
    ///
    /// What YAML files, overrides on the command line and checkpoints speak.
    public struct Configuration: Codable, Sendable, Equatable, DefaultInitializable {
        /// Stops after so many epochs; 1000 when neither this nor `maxSteps` nor `maxSeconds` is given.
        public var maxEpochs: Int?
        /// Trains at least so many epochs, whoever asks to stop.
        public var minEpochs: Int?
        /// Stops after so many optimizer steps.
        public var maxSteps: Int?
        /// Trains at least so many optimizer steps, whoever asks to stop.
        public var minSteps: Int?
        /// Stops at the first step after so many seconds of training.
        public var maxSeconds: Double?
        /// Training batches per epoch.
        public var limitTrainBatches = BatchLimit.all
        /// Validation batches per validation.
        public var limitValidationBatches = BatchLimit.all
        /// Test batches.
        public var limitTestBatches = BatchLimit.all
        /// Prediction batches.
        public var limitPredictBatches = BatchLimit.all
        /// Whether loaders share samples among the ranks; when off, samplers say which samples a rank reads.
        public var useDistributedSampler = true
        /// Asks the hooks for loaders again after every so many epochs; 0 never.
        public var reloadDataLoadersEveryEpochs = 0
        /// Validates after every so many epochs; 0 never.
        public var validateEveryEpochs = 1
        /// Validates after every so many batches within an epoch, instead of after epochs; when gradients are accumulated,
        /// at the end of the window that batch is in.
        public var validateEveryBatches: Int?
        /// Validates after every so many optimizer steps, counted over all epochs, instead of after epochs.
        public var validateEverySteps: Int?
        /// Validates after every such share of an epoch's batches, more than 0 and at most 1, instead of after epochs.
        public var validateEveryFraction: Double?
        /// Validates after so many seconds since the last validation, by the clock of rank 0, instead of after epochs.
        ///
        /// What the clock says travels with the gradients of an optimizer step and costs no collective of its own; a
        /// checkpoint keeps the seconds that have passed.
        public var validateEverySeconds: Double?
        /// Trains on so many batches of an epoch, the same in every epoch, and validates on them: a model that cannot learn
        /// a few batches by heart has a mistake in it.
        ///
        /// They are those of the first epoch, with the same random numbers for their augmentation. The validation data is
        /// not read; with `limitValidationBatches: 0` nothing is validated.
        public var overfitBatches: BatchLimit?
        /// Validation batches that try the code out before training.
        public var sanityValidationBatches = 2
        /// Loggers get single values every so many optimizer steps; 0 never.
        public var logEverySteps = 50
        /// Batches whose gradients make one optimizer step.
        public var accumulateGradientBatches = 1
        /// Scales gradients to at most this norm.
        public var gradientClipNorm: Double?
        /// Holds each element of the gradients within ± this.
        public var gradientClipValue: Double?
        /// Runs so many batches of everything, without checkpoints and loggers, to try the code out.
        public var fastDevRun = 0
        /// Run directories are `<defaultRootDir>/version_N`.
        public var defaultRootDir = "lightning_logs"
        /// What keeps the values that are logged, when the program gives no loggers of its own.
        public var loggers = [LoggerKind.csv]
        /// The seed of everything random; by default the one that `seedEverything` set, or 42.
        public var seed: UInt64?
        /// Saves a checkpoint after each epoch when no checkpoint callback is given.
        public var enableCheckpointing = true
        /// Shows progress.
        public var enableProgressBar = true
        /// Prints the layers before training.
        public var enableModelSummary = true
        /// Compute threads of each rank; by default its share of the cores it may run on.
        public var threads: Int?
        /// Goes on when the loss is not a number, instead of ending with an error.
        public var allowsNonFiniteLoss = false
        /// Names the operation, or the parameter, in which a number first is not finite; takes much time, for looking for
        /// a mistake.
        public var detectAnomaly = false
        /// Asks for so many ranks: an error when the program was started with another number.
        public var ranks: Int?
        /// The number types of the run: `float32`, `float64True`, `bfloat16Mixed` or `bfloat16True`.
        public var precision = Precision.float32
        /// Finds out where the time goes: `simple` makes a table, `trace` a file for each rank that a browser shows.
        public var profiler: ProfilerKind?
        /// Leaves out logging, checkpoints, progress and summary, to measure bare speed.
        public var barebones = false

        /// The defaults.
        public init() {}

        /// Whether checkpoint callbacks are heard at all.
        var savesCheckpoints: Bool { fastDevRun == 0 && !barebones }

        /// What gradients are held to.
        var clipping: GradientClipping? {
            gradientClipNorm.map(GradientClipping.norm) ?? gradientClipValue.map(GradientClipping.value)
        }

        /// Checks that the flags make sense together.
        ///
        /// - Throws: ``TrainingError`` that says what to change.
        func validated() throws -> Configuration {
            func demand(_ condition: Bool, _ message: String) throws {
                if !condition { throw TrainingError("trainer: " + message) }
            }
            let counts: [(String, Int?)] = [
                ("maxEpochs", maxEpochs), ("minEpochs", minEpochs), ("maxSteps", maxSteps), ("minSteps", minSteps),
                ("validateEveryEpochs", validateEveryEpochs), ("sanityValidationBatches", sanityValidationBatches),
                ("logEverySteps", logEverySteps), ("fastDevRun", fastDevRun),
                ("reloadDataLoadersEveryEpochs", reloadDataLoadersEveryEpochs),
            ]
            for (name, count) in counts {
                if let count { try demand(count >= 0, "\(name) is \(count); it cannot be negative") }
            }
            try demand(accumulateGradientBatches >= 1, "accumulateGradientBatches must be at least 1")
            try demand(
                gradientClipNorm == nil || gradientClipValue == nil,
                "gradientClipNorm and gradientClipValue are both given; use one of them")
            try demand((gradientClipNorm ?? 1) > 0 && (gradientClipValue ?? 1) > 0, "a clipping limit must be positive")
            try demand((validateEveryBatches ?? 1) >= 1, "validateEveryBatches must be at least 1")
            try demand((validateEverySteps ?? 1) >= 1, "validateEverySteps must be at least 1")
            try demand(
                validateEveryFraction.map { $0 > 0 && $0 <= 1 } ?? true,
                "validateEveryFraction is \(validateEveryFraction ?? 0); it is more than 0 and at most 1")
            try demand((validateEverySeconds ?? 1) > 0, "validateEverySeconds must be positive")
            let intervals = [
                validateEveryBatches.map { _ in "validateEveryBatches" },
                validateEverySteps.map { _ in "validateEverySteps" },
                validateEveryFraction.map { _ in "validateEveryFraction" },
                validateEverySeconds.map { _ in "validateEverySeconds" },
            ].compactMap { $0 }
            try demand(
                intervals.count < 2, "\(intervals.joined(separator: " and ")) are both given; use one of them")
            for (name, limit) in [
                ("limitTrainBatches", limitTrainBatches), ("limitValidationBatches", limitValidationBatches),
                ("limitTestBatches", limitTestBatches), ("limitPredictBatches", limitPredictBatches),
                ("overfitBatches", overfitBatches ?? .all),
            ] {
                switch limit {
                case .batches(let count) where count < 0:
                    try demand(false, "\(name) is \(count) batches; it cannot be negative")
                case .fraction(let share) where !(share > 0 && share <= 1):
                    try demand(false, "\(name) is a fraction of \(share); it is more than 0 and at most 1")
                default: break
                }
            }
            try demand(
                overfitBatches == nil || [.all, overfitBatches].contains(limitTrainBatches),
                "overfitBatches and limitTrainBatches both say how much to train on; use one of them")
            try demand(
                overfitBatches != .batches(0), "overfitBatches is 0 batches; leave it out to train on all of them")
            for (index, logger) in loggers.enumerated() {
                try demand(
                    !loggers[..<index].contains(logger), "loggers has \(logger.rawValue) twice; remove one of them")
            }
            try demand(
                !detectAnomaly || !allowsNonFiniteLoss,
                "detectAnomaly ends a run that allowsNonFiniteLoss lets go on; remove one of the two")
            try demand((threads ?? 1) >= 1, "threads must be at least 1")
            try demand((maxSeconds ?? 1) > 0, "maxSeconds must be positive")
            var resolved = self
            if let overfitBatches {
                resolved.limitTrainBatches = overfitBatches
                if limitValidationBatches != .batches(0) { resolved.limitValidationBatches = overfitBatches }
            }
            if fastDevRun > 0 {
                resolved.overfitBatches = nil
                resolved.maxEpochs = 1
                resolved.maxSteps = fastDevRun
                resolved.limitTrainBatches = .batches(fastDevRun)
                resolved.limitValidationBatches = .batches(fastDevRun)
                resolved.limitTestBatches = .batches(fastDevRun)
                resolved.limitPredictBatches = .batches(fastDevRun)
                resolved.sanityValidationBatches = 0
                resolved.validateEveryEpochs = 1
                resolved.validateEveryBatches = nil
                resolved.validateEverySteps = nil
                resolved.validateEveryFraction = nil
                resolved.validateEverySeconds = nil
                resolved.logEverySteps = 1
                resolved.enableCheckpointing = false
            }
            if barebones {
                try demand(fastDevRun == 0, "barebones and fastDevRun cannot be used together")
                try demand(profiler == nil, "barebones leaves out the profiler; remove one of the two")
                resolved.enableCheckpointing = false
                resolved.enableProgressBar = false
                resolved.enableModelSummary = false
                resolved.sanityValidationBatches = 0
                resolved.logEverySteps = 0
            }
            return resolved
        }
    }
}
