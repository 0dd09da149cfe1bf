/// The share of decisions for a class that were right.
///
/// Hits over hits and false positives. A class without any decision for it has 0.
public final class PrecisionScore: ClassScore {
    /// A metric that has seen nothing.
    ///
    /// - Parameters:
    ///   - task: What is classified.
    ///   - average: How the classes become one number; of a binary task it is the number of class 1.
    public init(_ task: ClassificationTask, average: ClassAverage = .macro) {
        super.init("PrecisionScore", task, average) { hits, falsePositives, _ in
            share(hits, of: hits + falsePositives)
        }
    }
}

/// The share of a class's samples that were found.
///
/// Hits over hits and false negatives. A class without any sample has 0.
public final class RecallScore: ClassScore {
    /// A metric that has seen nothing.
    ///
    /// - Parameters:
    ///   - task: What is classified.
    ///   - average: How the classes become one number; of a binary task it is the number of class 1.
    public init(_ task: ClassificationTask, average: ClassAverage = .macro) {
        super.init("RecallScore", task, average) { hits, _, falseNegatives in share(hits, of: hits + falseNegatives) }
    }
}

/// The harmonic mean of precision and recall.
///
/// 2 · hits over 2 · hits, false positives and false negatives. A class without any decision for it and any sample has 0.
public final class F1Score: ClassScore {
    /// A metric that has seen nothing.
    ///
    /// - Parameters:
    ///   - task: What is classified.
    ///   - average: How the classes become one number; of a binary task it is the number of class 1.
    public init(_ task: ClassificationTask, average: ClassAverage = .macro) {
        super.init("F1Score", task, average) { hits, falsePositives, falseNegatives in
            share(2 * hits, of: 2 * hits + falsePositives + falseNegatives)
        }
    }
}
