import Tensors

/// A learning rate over time: a pure function of how often it was stepped.
///
/// Nothing is remembered but the count, so a resumed run continues exactly.
public protocol LearningRateSchedule {
    /// What the initial learning rate is multiplied by after `count` steps of the schedule (0: at the start).
    func factor(after count: Int) -> Double
}

/// The rate is multiplied by `gamma` every `size` steps.
public struct StepSchedule: LearningRateSchedule, Sendable {
    private let size: Int
    private let gamma: Double

    /// A staircase.
    public init(every size: Int, gamma: Double = 0.1) {
        require(size > 0, "StepSchedule", "a decay every \(size) steps")
        self.size = size
        self.gamma = gamma
    }

    /// gamma^(count / size).
    public func factor(after count: Int) -> Double { power(gamma, count / size) }
}

/// The rate is multiplied by `gamma` at each milestone.
public struct MultiStepSchedule: LearningRateSchedule, Sendable {
    private let milestones: [Int]
    private let gamma: Double

    /// A staircase with its own edges.
    public init(milestones: [Int], gamma: Double = 0.1) {
        self.milestones = milestones
        self.gamma = gamma
    }

    /// gamma to the number of milestones reached.
    public func factor(after count: Int) -> Double { power(gamma, milestones.count { $0 <= count }) }
}

/// The rate is multiplied by `gamma` at every step.
public struct ExponentialSchedule: LearningRateSchedule, Sendable {
    private let gamma: Double

    /// A geometric decay.
    public init(gamma: Double) { self.gamma = gamma }

    /// gamma^count.
    public func factor(after count: Int) -> Double { power(gamma, count) }
}

/// A linear rise from nearly 0, then half a cosine down to a floor (Loshchilov & Hutter, 2017).
public struct CosineSchedule: LearningRateSchedule, Sendable {
    private let total: Int
    private let warmUp: Int
    private let floor: Double

    /// A warm-up of `warmUp` steps within `total` steps; afterwards the factor stays at `floor`.
    public init(total: Int, warmUp: Int = 0, floor: Double = 0) {
        require(total > 0 && warmUp >= 0, "CosineSchedule", "a warm-up of \(warmUp) steps within \(total) steps")
        self.total = total
        self.warmUp = warmUp
        self.floor = floor
    }

    /// (count + 1) / warmUp while rising, then floor + (1 − floor) · (1 + cos(π · progress)) / 2.
    public func factor(after count: Int) -> Double {
        if count < warmUp { return Double(count + 1) / Double(warmUp) }
        let progress = min(1, Double(count - warmUp) / Double(max(1, total - warmUp)))
        return floor + (1 - floor) * 0.5 * (1 + cosine(.pi * progress))
    }
}

/// A factor given by a closure.
public struct LambdaSchedule: LearningRateSchedule {
    private let function: (Int) -> Double

    /// A schedule from a pure function of the count.
    public init(_ function: @escaping (Int) -> Double) { self.function = function }

    /// The closure's value.
    public func factor(after count: Int) -> Double { function(count) }
}
