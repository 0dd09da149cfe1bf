import Tensors

/// A number of the curve over all thresholds: an area, an average precision.
///
/// Several classes are taken each against the rest. Only the order of scores counts when thresholds are exact:
/// probabilities and logits will do.
public class CurveScore: Metric {
    /// The scores and labels, or counts in bins.
    public final var state: MetricState
    private let scores: ScoreState
    private let average: ClassAverage
    private let formula: (ScoreCurve) -> Double

    /// A metric that has seen nothing; `name` is for messages.
    init(
        _ name: StaticString, _ task: ClassificationTask, _ average: ClassAverage, _ thresholds: Thresholds,
        _ formula: @escaping (ScoreCurve) -> Double
    ) {
        scores = ScoreState(task: task, thresholds: thresholds, name: name)
        self.average = average
        self.formula = formula
        state = scores.empty
    }

    /// Adds a batch: scores and labels as the task says.
    public final func update(_ scores: Tensor, _ labels: Tensor) { self.scores.add(scores, labels, to: &state) }

    /// The number over all classes; NaN when it does not exist for any of them.
    public final func compute() -> Double { scores.average(state, average, formula) }

    /// The number of each class; NaN where it does not exist.
    public final func computeEach() -> [Double] { scores.curves(state).map(formula) }
}
