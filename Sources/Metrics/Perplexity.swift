import Foundation
import Tensors

/// The exponential of the mean cross-entropy: between how many equally likely tokens a model chooses.
public final class Perplexity: Metric {
    /// The sum of the cross-entropies and the number of labels that count.
    public var state = MetricState(sums: 2)
    private let ignoredLabel: Int

    /// A metric that has seen nothing.
    ///
    /// - Parameter ignoredLabel: A label that does not count, such as that of padding.
    public init(ignoredLabel: Int = -100) { self.ignoredLabel = ignoredLabel }

    /// Adds a batch: logits `[…, classes]` and `int64` labels `[…]`.
    public func update(_ logits: Tensor, _ labels: Tensor) {
        let losses = crossEntropy(logits.detached, labels, ignoredLabel: ignoredLabel, reduction: .none)
        for (loss, label) in zip(losses.doubles, labels.array(of: Int64.self)) where label != Int64(ignoredLabel) {
            state.sums[0] += loss
            state.sums[1] += 1
        }
    }

    /// The perplexity, at least 1; NaN when nothing was seen.
    public func compute() -> Double { exp(state.sums[0] / state.sums[1]) }
}
