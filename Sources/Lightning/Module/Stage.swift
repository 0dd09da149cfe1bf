/// What a run of the trainer is for; given to `setup` and `teardown`.
public enum RunStage: String, Sendable, Codable, CaseIterable {
    /// `Trainer.fit`.
    case fit
    /// `Trainer.validate`.
    case validate
    /// `Trainer.test`.
    case test
    /// `Trainer.predict`.
    case predict
}
