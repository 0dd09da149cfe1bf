import Tensors

/// The share of rows whose largest logit is at the label.
public struct Accuracy: Metric {
    /// Hits and rows.
    public var state: [Double] = [0, 0]

    /// A metric that has seen nothing.
    public init() {}

    /// Adds a batch: logits `[…, classes]` and `int64` labels `[…]`.
    public mutating func update(_ logits: Tensor, _ labels: Tensor) {
        let rows = Double(labels.elementCount)
        state[0] += accuracy(logits, labels).item * rows
        state[1] += rows
    }

    /// Hits over rows, 0 … 1; NaN when nothing was seen.
    public func compute() -> Double { state[0] / state[1] }
}

/// The weighted mean of values.
public struct MeanMetric: Metric {
    /// The weighted sum and the weight.
    public var state: [Double] = [0, 0]

    /// A metric that has seen nothing.
    public init() {}

    /// Adds a value that stands for `weight` samples.
    public mutating func update(_ value: Double, weight: Double = 1) {
        state[0] += value * weight
        state[1] += weight
    }

    /// The mean; NaN when nothing was seen.
    public func compute() -> Double { state[0] / state[1] }
}
