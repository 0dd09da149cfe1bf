import Tensors

/// The share of right decisions.
///
/// Binary: of the samples. Multiclass: micro, of the samples; macro, the mean over classes of the share of a class's
/// samples that were hit; weighted, that mean weighted by samples, which is micro. Multilabel: of all decisions (micro),
/// or the mean over labels.
public final class Accuracy: Metric {
    /// Hits and misses of each class.
    public var state: MetricState
    private let task: ClassificationTask
    private let average: ClassAverage
    private let top: Int

    /// A metric that has seen nothing.
    ///
    /// - Parameters:
    ///   - task: What is classified.
    ///   - average: How the classes become one number.
    ///   - top: A row of a multiclass task is a hit when its label is among so many highest scores; of equal scores the
    ///     lower class comes first.
    public init(_ task: ClassificationTask, average: ClassAverage = .micro, top: Int = 1) {
        self.task = task
        self.average = average
        self.top = top
        state = ClassCounts.empty(task)
        if top != 1 {
            guard case .multiclass(let classes) = task, (1...classes).contains(top) else {
                fail("Accuracy", "the \(top) highest scores of \(task)")
            }
        }
    }

    /// Adds a batch: scores (or classes) and labels as the task says.
    public func update(_ scores: Tensor, _ labels: Tensor) {
        var counts = ClassCounts(state.sums)
        if top == 1 {
            counts.add("Accuracy", task, scores, labels)
        } else {
            counts.addTop(top, "Accuracy", task, scores, labels)
        }
        state.sums = counts.sums
    }

    /// The share, 0 … 1; NaN when nothing was seen.
    public func compute() -> Double {
        let counts = ClassCounts(state.sums)
        guard !counts.isEmpty else { return .nan }
        if case .multiclass = task {
            return counts.average(average) { hits, _, misses in share(hits, of: hits + misses) }
        }
        // Every label of a multilabel task has as many decisions, so that their plain mean is that of all decisions.
        let weights = average == .weighted && task.classCount > 1 ? counts.support : counts.rightShares.map { _ in 1 }
        return mean(counts.rightShares, weights: weights)
    }

    /// The share of each class: of its samples in a multiclass task, of all decisions about it otherwise.
    public func computeEach() -> [Double] {
        let counts = ClassCounts(state.sums)
        if case .multiclass = task { return counts.each { hits, _, misses in share(hits, of: hits + misses) } }
        return counts.rightShares
    }
}
