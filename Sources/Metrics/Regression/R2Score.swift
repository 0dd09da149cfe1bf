import Tensors

/// The share of the targets' variance that predictions explain: 1 − Σ (target − prediction)² / Σ (target − mean)².
///
/// The spread of the targets is kept around their running mean and merged by the formula of Chan, Golub and LeVeque, so
/// that targets far from 0 lose no digits, which they would in Σ target² − n · mean².
public final class R2Score: Metric {
    /// The number of targets, their mean, their squared distances from it, and the squared errors.
    public var state = MetricState(sums: 4)

    /// A metric that has seen nothing.
    public init() {}

    /// Adds a batch of predictions and targets of one shape; all elements are samples.
    public func update(_ predictions: Tensor, _ targets: Tensor) {
        for (prediction, target) in pairs("R2Score", predictions, targets) {
            state.sums[0] += 1
            let distance = target - state.sums[1]
            state.sums[1] += distance / state.sums[0]
            state.sums[2] += distance * (target - state.sums[1])
            state.sums[3] += (target - prediction) * (target - prediction)
        }
    }

    /// Joins two spreads around two means.
    public func merge(_ other: MetricState) {
        let (own, new) = (state.sums[0], other.sums[0])
        guard new > 0 else { return }
        let distance = other.sums[1] - state.sums[1]
        state.sums[0] = own + new
        state.sums[1] += distance * new / (own + new)
        state.sums[2] += other.sums[2] + distance * distance * own * new / (own + new)
        state.sums[3] += other.sums[3]
    }

    /// The share, at most 1; NaN with fewer than two samples.
    ///
    /// Of targets that are all equal it is 1 when the predictions are right and 0 when they are not, as in scikit-learn.
    public func compute() -> Double {
        guard state.sums[0] >= 2 else { return .nan }
        guard state.sums[2] > 0 else { return state.sums[3] == 0 ? 1 : state.sums[3].isNaN ? .nan : 0 }
        return 1 - state.sums[3] / state.sums[2]
    }
}
