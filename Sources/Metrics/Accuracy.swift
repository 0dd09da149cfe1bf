import Tensors

/// The share of rows whose largest logit is at the label.
public struct Accuracy: Metric {
    /// Hits and rows.
    public var state: [Double] = [0, 0]

    /// A metric that has seen nothing.
    public init() {}

    /// Adds a batch: logits `[…, classes]` and `int64` labels `[…]`.
    public mutating func update(_ logits: Tensor, _ labels: Tensor) {
        require(
            logits.rank > 0 && Shape(logits.shape.dropLast()) == labels.shape && labels.dtype == .int64, "Accuracy",
            "logits \(logits.shape), labels \(labels.dtype) \(labels.shape); one int64 label per row")
        guard labels.elementCount > 0 else { return }
        // Counted, not taken from a rounded mean: sums are whole numbers, so that they do not depend on the batches.
        let hits = logits.detached.argmax(along: -1) .== labels
        state[0] += hits.converted(to: .float64).sum().item
        state[1] += Double(labels.elementCount)
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

    /// Adds a value that stands for `weight` samples; one that stands for none does not count, even when it is NaN.
    public mutating func update(_ value: Double, weight: Double = 1) {
        require(weight >= 0, "MeanMetric", "a weight of \(weight)")
        guard weight > 0 else { return }
        state[0] += value * weight
        state[1] += weight
    }

    /// The mean; NaN when nothing was seen.
    public func compute() -> Double { state[0] / state[1] }
}
