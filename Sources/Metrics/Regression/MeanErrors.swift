import Tensors

/// The mean squared difference of predictions and targets, over all elements.
public final class MeanSquaredError: Metric {
    /// The sum of squares and the number of elements.
    public var state = MetricState(sums: 2)
    private let isRoot: Bool

    /// A metric that has seen nothing.
    ///
    /// - Parameter root: Whether the value is the root of the mean.
    public init(root: Bool = false) { isRoot = root }

    /// Adds a batch of predictions and targets of one shape.
    public func update(_ predictions: Tensor, _ targets: Tensor) {
        for (prediction, target) in pairs("MeanSquaredError", predictions, targets) {
            state.sums[0] += (prediction - target) * (prediction - target)
            state.sums[1] += 1
        }
    }

    /// The mean; NaN when nothing was seen.
    public func compute() -> Double {
        let mean = state.sums[0] / state.sums[1]
        return isRoot ? mean.squareRoot() : mean
    }
}

/// The mean absolute difference of predictions and targets, over all elements.
public final class MeanAbsoluteError: Metric {
    /// The sum of differences and the number of elements.
    public var state = MetricState(sums: 2)

    /// A metric that has seen nothing.
    public init() {}

    /// Adds a batch of predictions and targets of one shape.
    public func update(_ predictions: Tensor, _ targets: Tensor) {
        for (prediction, target) in pairs("MeanAbsoluteError", predictions, targets) {
            state.sums[0] += abs(prediction - target)
            state.sums[1] += 1
        }
    }

    /// The mean; NaN when nothing was seen.
    public func compute() -> Double { state.sums[0] / state.sums[1] }
}

/// Predictions beside their targets, in double precision.
func pairs(_ name: StaticString, _ predictions: Tensor, _ targets: Tensor) -> Zip2Sequence<[Double], [Double]> {
    require(predictions.shape == targets.shape, name, "predictions \(predictions.shape), targets \(targets.shape)")
    return zip(predictions.doubles, targets.doubles)
}
