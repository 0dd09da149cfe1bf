/// At which thresholds a curve over scores is known.
public enum Thresholds: Sendable, Equatable {
    /// At every score that occurs: exact. Every score is kept, in 8 bytes, and travels at the end of the epoch.
    case exact
    /// At so many thresholds evenly spaced from 0 to 1, both included: a fixed, small state; scores are probabilities.
    case bins(Int)
}
