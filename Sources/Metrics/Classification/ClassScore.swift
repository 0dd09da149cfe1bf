import Tensors

/// A number made of the hits and misses of each class: precision, recall, F1.
public class ClassScore: Metric {
    /// A class's number from its hits, false positives and false negatives.
    typealias Formula = (_ hits: Double, _ falsePositives: Double, _ falseNegatives: Double) -> Double

    /// Hits and misses of each class.
    public final var state: MetricState
    private let name: StaticString
    private let task: ClassificationTask
    private let average: ClassAverage
    private let formula: Formula

    /// A metric that has seen nothing; `name` is for messages.
    init(_ name: StaticString, _ task: ClassificationTask, _ average: ClassAverage, _ formula: @escaping Formula) {
        self.name = name
        self.task = task
        self.average = average
        self.formula = formula
        state = ClassCounts.empty(task)
    }

    /// Adds a batch: scores (or classes) and labels as the task says.
    public final func update(_ scores: Tensor, _ labels: Tensor) {
        var counts = ClassCounts(state.sums)
        counts.add(name, task, scores, labels)
        state.sums = counts.sums
    }

    /// The number over all classes; NaN when nothing was seen.
    public final func compute() -> Double {
        ClassCounts(state.sums).average(task.classCount == 1 ? .micro : average, formula)
    }

    /// The number of each class.
    public final func computeEach() -> [Double] { ClassCounts(state.sums).each(formula) }
}
