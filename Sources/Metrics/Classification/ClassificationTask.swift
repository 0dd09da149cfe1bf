import Tensors

/// What is classified, and how scores become decisions.
///
/// Scores are compared with the threshold as they are: give 0 for logits. (Nothing is guessed from the values of a
/// batch, which would make the result depend on how samples are cut into batches.)
public enum ClassificationTask: Sendable, Equatable {
    /// One score per sample; labels are 0 and 1, and a score above the threshold says 1.
    case binary(threshold: Double = 0.5)
    /// One of `classes` per sample: scores `[…, classes]`, or predicted classes `[…]` as `int64`; labels `[…]`.
    case multiclass(_ classes: Int)
    /// Any of `labels` per sample: scores `[…, labels]`; labels `[…, labels]` are 0 and 1.
    case multilabel(_ labels: Int, threshold: Double = 0.5)

    /// Classes that are counted: one where there is only a yes and a no.
    var classCount: Int {
        switch self {
        case .binary: 1
        case .multiclass(let classes): classes
        case .multilabel(let labels, _): labels
        }
    }

    /// Traps unless scores and labels fit the task and each other; returns the labels.
    ///
    /// - Parameter takesClasses: Whether `int64` predictions of classes will do instead of scores.
    func checkedLabels(
        _ name: StaticString, _ scores: Tensor, _ labels: Tensor, takesClasses: Bool = false
    ) -> [Int] {
        let pair = "scores \(scores.dtype) \(scores.shape), labels \(labels.dtype) \(labels.shape)"
        require(labels.dtype == .int64, name, pair + "; labels are int64")
        var limit = 2
        switch self {
        case .binary: require(scores.shape == labels.shape, name, pair + "; one score per label")
        case .multilabel(let count, _):
            require(
                scores.shape == labels.shape && scores.shape.last == count, name,
                pair + "; both have \(count) in the last dimension")
        case .multiclass(let classes):
            limit = classes
            let isDecided = takesClasses && scores.dtype == .int64
            require(
                isDecided
                    ? scores.shape == labels.shape
                    : scores.shape.last == classes && Shape(scores.shape.dropLast()) == labels.shape, name,
                pair + "; scores have \(classes) in the last dimension, and there is one label per row")
        }
        let numbers = labels.array(of: Int64.self).map { Int($0) }
        if let wrong = numbers.first(where: { $0 < 0 || $0 >= limit }) {
            fail(name, "a label is \(wrong); labels are 0 ..< \(limit)")
        }
        return numbers
    }

    /// The decided class of each row of a multiclass task.
    func decisions(_ name: StaticString, _ scores: Tensor) -> [Int] {
        let classes = scores.dtype == .int64 ? scores : scores.detached.argmax(along: -1)
        let numbers = classes.array(of: Int64.self).map { Int($0) }
        if let wrong = numbers.first(where: { $0 < 0 || $0 >= classCount }) {
            fail(name, "a predicted class is \(wrong); classes are 0 ..< \(classCount)")
        }
        return numbers
    }
}

/// How the numbers of several classes become one.
public enum ClassAverage: String, Sendable, Codable, CaseIterable {
    /// All decisions are counted together.
    case micro
    /// The plain mean over the classes that occur, as a label or as a decision.
    case macro
    /// The mean over classes, weighted by how often each is the label.
    case weighted
}
