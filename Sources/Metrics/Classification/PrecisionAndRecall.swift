import Tensors

/// The share of decisions for a class that were right.
///
/// Hits over hits and false positives. A class without any decision for it has 0.
public final class PrecisionScore: Metric {
    /// Hits and misses of each class.
    public var state: MetricState
    private let task: ClassificationTask
    private let average: ClassAverage

    /// A metric that has seen nothing.
    ///
    /// - Parameters:
    ///   - task: What is classified.
    ///   - average: How the classes become one number; of a binary task it is the number of class 1.
    public init(_ task: ClassificationTask, average: ClassAverage = .macro) {
        self.task = task
        self.average = average
        state = ClassCounts.empty(task)
    }

    /// Adds a batch: scores (or classes) and labels as the task says.
    public func update(_ scores: Tensor, _ labels: Tensor) {
        var counts = ClassCounts(state.sums)
        counts.add("PrecisionScore", task, scores, labels)
        state.sums = counts.sums
    }

    /// The number over all classes; NaN when nothing was seen.
    public func compute() -> Double {
        ClassCounts(state.sums).average(task.classCount == 1 ? .micro : average, Self.value)
    }

    /// The number of each class.
    public func computeEach() -> [Double] { ClassCounts(state.sums).each(Self.value) }

    private static func value(_ hits: Double, _ falsePositives: Double, _ falseNegatives: Double) -> Double {
        share(hits, of: hits + falsePositives)
    }
}

/// The share of a class's samples that were found.
///
/// Hits over hits and false negatives. A class without any sample has 0.
public final class RecallScore: Metric {
    /// Hits and misses of each class.
    public var state: MetricState
    private let task: ClassificationTask
    private let average: ClassAverage

    /// A metric that has seen nothing.
    ///
    /// - Parameters:
    ///   - task: What is classified.
    ///   - average: How the classes become one number; of a binary task it is the number of class 1.
    public init(_ task: ClassificationTask, average: ClassAverage = .macro) {
        self.task = task
        self.average = average
        state = ClassCounts.empty(task)
    }

    /// Adds a batch: scores (or classes) and labels as the task says.
    public func update(_ scores: Tensor, _ labels: Tensor) {
        var counts = ClassCounts(state.sums)
        counts.add("RecallScore", task, scores, labels)
        state.sums = counts.sums
    }

    /// The number over all classes; NaN when nothing was seen.
    public func compute() -> Double {
        ClassCounts(state.sums).average(task.classCount == 1 ? .micro : average, Self.value)
    }

    /// The number of each class.
    public func computeEach() -> [Double] { ClassCounts(state.sums).each(Self.value) }

    private static func value(_ hits: Double, _ falsePositives: Double, _ falseNegatives: Double) -> Double {
        share(hits, of: hits + falseNegatives)
    }
}

/// The harmonic mean of precision and recall.
///
/// 2 · hits over 2 · hits, false positives and false negatives. A class without any decision for it and any sample has 0.
public final class F1Score: Metric {
    /// Hits and misses of each class.
    public var state: MetricState
    private let task: ClassificationTask
    private let average: ClassAverage

    /// A metric that has seen nothing.
    ///
    /// - Parameters:
    ///   - task: What is classified.
    ///   - average: How the classes become one number; of a binary task it is the number of class 1.
    public init(_ task: ClassificationTask, average: ClassAverage = .macro) {
        self.task = task
        self.average = average
        state = ClassCounts.empty(task)
    }

    /// Adds a batch: scores (or classes) and labels as the task says.
    public func update(_ scores: Tensor, _ labels: Tensor) {
        var counts = ClassCounts(state.sums)
        counts.add("F1Score", task, scores, labels)
        state.sums = counts.sums
    }

    /// The number over all classes; NaN when nothing was seen.
    public func compute() -> Double {
        ClassCounts(state.sums).average(task.classCount == 1 ? .micro : average, Self.value)
    }

    /// The number of each class.
    public func computeEach() -> [Double] { ClassCounts(state.sums).each(Self.value) }

    private static func value(_ hits: Double, _ falsePositives: Double, _ falseNegatives: Double) -> Double {
        share(2 * hits, of: 2 * hits + falsePositives + falseNegatives)
    }
}
