import Tensors

/// How often each label was decided to be each class.
///
/// Rows are labels, columns decisions. A binary task has two classes. A multilabel task has one 2 × 2 matrix per label.
public final class ConfusionMatrix: Metric {
    /// The counts, row by row.
    public var state: MetricState
    private let task: ClassificationTask

    /// A metric that has seen nothing.
    public init(_ task: ClassificationTask) {
        self.task = task
        switch task {
        case .binary: state = MetricState(sums: 4)
        case .multiclass(let classes): state = MetricState(sums: classes * classes)
        case .multilabel(let labels, _): state = MetricState(sums: 4 * labels)
        }
    }

    /// Adds a batch: scores (or classes) and labels as the task says.
    public func update(_ scores: Tensor, _ labels: Tensor) {
        let numbers = task.checkedLabels("ConfusionMatrix", scores, labels, takesClasses: true)
        switch task {
        case .binary(let threshold), .multilabel(_, let threshold):
            for (place, (score, label)) in zip(scores.doubles, numbers).enumerated() {
                state.sums[4 * (place % task.classCount) + 2 * label + (score > threshold ? 1 : 0)] += 1
            }
        case .multiclass(let classes):
            for (decision, label) in zip(task.decisions("ConfusionMatrix", scores), numbers) {
                state.sums[label * classes + decision] += 1
            }
        }
    }

    /// The counts as `int64`: `[classes, classes]`, or `[labels, 2, 2]` for a multilabel task.
    public func compute() -> Tensor {
        let shape: Shape =
            switch task {
            case .binary: [2, 2]
            case .multiclass(let classes): [classes, classes]
            case .multilabel(let labels, _): [labels, 2, 2]
            }
        return Tensor(state.sums.map { Int64($0) }, shape: shape)
    }
}
