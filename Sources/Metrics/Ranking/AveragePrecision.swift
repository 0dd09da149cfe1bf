import Tensors

/// The area under the curve of precision over recall, in steps.
///
/// Σ (recall gained) · precision over the thresholds from the highest down, without interpolation, as in scikit-learn.
/// Several classes are taken each against the rest. Only the order of scores counts when thresholds are exact:
/// probabilities and logits will do.
public final class AveragePrecision: Metric {
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
        scores = ScoreState(task: task, thresholds: thresholds, name: "AveragePrecision")
        self.average = average
        state = scores.empty
    }

    /// Adds a batch: scores and labels as the task says.
    public func update(_ scores: Tensor, _ labels: Tensor) { self.scores.add(scores, labels, to: &state) }

    /// The number over all classes; NaN when there were no samples of a class.
    public func compute() -> Double { scores.average(state, average, \.averagePrecision) }

    /// The number of each class; NaN where there were no samples of a class.
    public func computeEach() -> [Double] { scores.curves(state).map(\.averagePrecision) }
}
