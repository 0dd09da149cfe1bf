import Tensors

/// The weighted mean of values.
public final class MeanMetric: Metric {
    /// The weighted sum and the weight.
    public var state = MetricState(sums: 2)

    /// A metric that has seen nothing.
    public init() {}

    /// Adds a value that stands for `weight` samples; one that stands for none does not count, even when it is NaN.
    public func update(_ value: Double, weight: Double = 1) {
        require(weight >= 0, "MeanMetric", "a weight of \(weight)")
        guard weight > 0 else { return }
        state.sums[0] += value * weight
        state.sums[1] += weight
    }

    /// The mean; NaN when nothing was seen.
    public func compute() -> Double { state.sums[0] / state.sums[1] }
}
