import Tensors

/// The area under the receiver operating characteristic.
///
/// The chance that a sample of the class scores higher than another sample, a tie counting half.
/// Several classes are taken each against the rest. Only the order of scores counts when thresholds are exact:
/// probabilities and logits will do.
public final class AUROC: Metric {
    /// The scores and labels, or counts in bins.
    public var state: MetricState
    private let scores: ScoreState
    private let average: ClassAverage

    /// A metric that has seen nothing.
    ///
    /// - Parameters:
    ///   - task: What is classified; its threshold plays no part.
    ///   - average: How the classes become one number; micro joins all decisions into one curve. Classes for which the
    ///     number does not exist are left out.
    ///   - thresholds: Exact, or at fixed thresholds.
    public init(_ task: ClassificationTask, average: ClassAverage = .macro, thresholds: Thresholds = .exact) {
        scores = ScoreState(task: task, thresholds: thresholds, name: "AUROC")
        self.average = average
        state = scores.empty
    }

    /// Adds a batch: scores and labels as the task says.
    public func update(_ scores: Tensor, _ labels: Tensor) { self.scores.add(scores, labels, to: &state) }

    /// The number over all classes; NaN when there were no samples of a class, or no others.
    public func compute() -> Double { scores.average(state, average, \.areaUnderROC) }

    /// The number of each class; NaN where there were no samples of a class, or no others.
    public func computeEach() -> [Double] { scores.curves(state).map(\.areaUnderROC) }
}
