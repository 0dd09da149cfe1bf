import Tensors

/// What a configuration file says: which experiment, its model and data, and how to train.
public struct RunConfiguration<Model, Data>: Codable, Sendable, DefaultInitializable
where Model: Codable & Sendable & DefaultInitializable, Data: Codable & Sendable & DefaultInitializable {
    /// The name of the experiment.
    public var experiment = ""
    /// Hyperparameters of the module.
    public var model = Model()
    /// Settings of the data.
    public var data = Data()
    /// Flags of the trainer.
    public var trainer = Trainer.Configuration()
    /// What to save.
    public var checkpoint = CheckpointSettings()
    /// When to stop early; nothing stops early without it.
    public var earlyStopping: EarlyStoppingSettings?

    /// The defaults.
    public init() {}
}

/// Settings of a ``ModelCheckpoint``.
public struct CheckpointSettings: Codable, Sendable, DefaultInitializable {
    /// The metric that scores a checkpoint.
    public var monitor: String?
    /// Which scores are better.
    public var mode = ModelCheckpoint.Mode.min
    /// How many to keep; −1 for all.
    public var saveTop = 1
    /// Whether `last.h5` is kept.
    public var saveLast = true
    /// Saves `last.h5` after every so many optimizer steps too.
    public var everySteps: Int?
    /// Saves after every so many epochs.
    public var everyEpochs = 1

    /// The defaults.
    public init() {}

    var callback: ModelCheckpoint {
        ModelCheckpoint(
            monitor: monitor, mode: mode, saveTop: saveTop, saveLast: saveLast, everySteps: everySteps,
            everyEpochs: everyEpochs)
    }
}

/// Settings of an ``EarlyStopping``.
public struct EarlyStoppingSettings: Codable, Sendable, DefaultInitializable {
    /// The metric looked at.
    public var monitor = "val_loss"
    /// Which direction is an improvement.
    public var mode = ModelCheckpoint.Mode.min
    /// Checks without improvement that are borne.
    public var patience = 3
    /// What counts as an improvement.
    public var minimumChange = 0.0

    /// The defaults.
    public init() {}

    var callback: EarlyStopping {
        EarlyStopping(monitor: monitor, mode: mode, patience: patience, minimumChange: minimumChange)
    }
}

/// How many samples make a batch, in a configuration file: a number for all ranks together, or per rank.
public struct BatchSettings: Codable, Sendable, DefaultInitializable {
    /// Samples of all ranks together: the run does not depend on the number of ranks.
    public var global: Int?
    /// Samples of each rank: more ranks, larger steps.
    public var perRank: Int?

    /// The default: 64 samples over all ranks.
    public init() {}

    /// The size a loader takes.
    ///
    /// - Throws: ``TrainingError`` when both are given.
    public func size(orGlobal fallback: Int = 64) throws -> BatchSize {
        switch (global, perRank) {
        case (let global?, nil): return .global(global)
        case (nil, let perRank?): return .perRank(perRank)
        case (nil, nil): return .global(fallback)
        case (_?, _?): throw TrainingError("data.batch: global and perRank are both given; use one of them")
        }
    }
}
