/// A statistic that is gathered batch by batch and can be merged over ranks: a fixed number of sums.
public protocol Metric {
    /// The sums gathered so far. Sums of several ranks add up to the sums of all samples.
    var state: [Double] { get set }
    /// The statistic of everything gathered.
    func compute() -> Double
}

extension Metric {
    /// Adds what another metric has gathered.
    public mutating func merge(_ other: Self) {
        for index in state.indices { state[index] += other.state[index] }
    }

    /// Forgets everything gathered.
    public mutating func reset() { for index in state.indices { state[index] = 0 } }
}
