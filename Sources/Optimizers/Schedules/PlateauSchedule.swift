/// Lowers the rate when a monitored value stops improving.
public final class PlateauSchedule {
    /// Which direction is an improvement.
    public enum Mode: String, Sendable, Codable, CaseIterable {
        /// Smaller is better.
        case min
        /// Larger is better.
        case max
    }

    /// What is remembered between checks.
    public struct State: Codable, Sendable, Equatable {
        /// The best value so far.
        public var best: Double?
        /// Checks since the last improvement.
        public var badChecks = 0
        /// The present factor of the learning rate.
        public var factor = 1.0
    }

    /// The present state; saved and restored by the trainer.
    public var state = State()
    private let mode: Mode
    private let decay: Double
    private let patience: Int
    private let threshold: Double
    private let floor: Double

    /// A schedule that multiplies the rate by `decay` after more than `patience` checks without an improvement by a
    /// relative `threshold`, down to the factor `floor`.
    public init(
        mode: Mode = .min, decay: Double = 0.1, patience: Int = 10, threshold: Double = 1e-4, floor: Double = 0
    ) {
        self.mode = mode
        self.decay = decay
        self.patience = patience
        self.threshold = threshold
        self.floor = floor
    }

    /// Takes note of the monitored value, and returns the factor from now on.
    public func observe(_ value: Double) -> Double {
        if isBetter(value) {
            state.best = value
            state.badChecks = 0
        } else {
            state.badChecks += 1
            if state.badChecks > patience {
                state.factor = Swift.max(floor, state.factor * decay)
                state.badChecks = 0
            }
        }
        return state.factor
    }

    private func isBetter(_ value: Double) -> Bool {
        guard let best = state.best else { return !value.isNaN }
        // Infinity less a share of itself is not a number, and nothing would be better than it.
        let margin = best.isFinite ? abs(best) * threshold : 0
        return mode == .min ? value < best - margin : value > best + margin
    }
}
