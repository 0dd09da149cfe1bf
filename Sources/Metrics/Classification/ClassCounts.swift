import Tensors

/// Hits and misses of each class: all that accuracy, precision, recall and F1 are made of.
struct ClassCounts {
    /// Four whole numbers per class, one after another.
    private enum Kind: Int { case truePositive, falsePositive, falseNegative, trueNegative }

    private let classes: Int
    private(set) var sums: [Double]

    init(_ sums: [Double]) {
        classes = sums.count / 4
        self.sums = sums
    }

    static func empty(_ task: ClassificationTask) -> MetricState { MetricState(sums: 4 * task.classCount) }

    private subscript(kind: Kind, index: Int) -> Double {
        get { sums[4 * index + kind.rawValue] }
        set { sums[4 * index + kind.rawValue] = newValue }
    }

    // MARK: - Counting

    /// Counts a batch.
    mutating func add(_ name: StaticString, _ task: ClassificationTask, _ scores: Tensor, _ labels: Tensor) {
        let labels = task.checkedLabels(name, scores, labels, takesClasses: true)
        switch task {
        case .binary(let threshold), .multilabel(_, let threshold):
            for (place, (score, label)) in zip(scores.doubles, labels).enumerated() {
                let kind: Kind =
                    score > threshold
                    ? (label == 1 ? .truePositive : .falsePositive) : (label == 1 ? .falseNegative : .trueNegative)
                self[kind, place % classes] += 1
            }
        case .multiclass: for (decision, label) in zip(task.decisions(name, scores), labels) { add(decision, label) }
        }
    }

    /// Counts rows of a multiclass task as hits when the label is among the `count` highest scores; of equal scores the
    /// lower class comes first.
    mutating func addTop(
        _ count: Int, _ name: StaticString, _ task: ClassificationTask, _ scores: Tensor, _ labels: Tensor
    ) {
        let labels = task.checkedLabels(name, scores, labels)
        let decisions = task.decisions(name, scores)
        let numbers = scores.doubles
        for (row, label) in labels.enumerated() {
            let own = numbers[row * classes + label]
            var better = own.isNaN ? classes : 0
            for other in 0..<classes {
                let score = numbers[row * classes + other]
                if score > own || (score == own && other < label) { better += 1 }
            }
            add(better < count ? label : decisions[row], label, isHit: better < count)
        }
    }

    private mutating func add(_ decision: Int, _ label: Int) { add(decision, label, isHit: decision == label) }

    private mutating func add(_ decision: Int, _ label: Int, isHit: Bool) {
        if isHit { return self[.truePositive, label] += 1 }
        if decision != label { self[.falsePositive, decision] += 1 }
        self[.falseNegative, label] += 1
    }

    // MARK: - What follows

    /// A number of each class.
    func each(_ value: (_ hits: Double, _ falsePositives: Double, _ falseNegatives: Double) -> Double) -> [Double] {
        (0..<classes).map { value(self[.truePositive, $0], self[.falsePositive, $0], self[.falseNegative, $0]) }
    }

    /// A number of all classes; NaN when nothing was seen.
    func average(
        _ average: ClassAverage, _ value: (Double, Double, Double) -> Double
    ) -> Double {
        guard !isEmpty else { return .nan }
        let support = each { hits, _, misses in hits + misses }
        switch average {
        case .micro: return value(total(.truePositive), total(.falsePositive), total(.falseNegative))
        case .macro: return mean(each(value), weights: each { $0 + $1 + $2 }.map { $0 > 0 ? 1 : 0 })
        case .weighted: return mean(each(value), weights: support)
        }
    }

    /// The share of right decisions of each class, also those against it.
    var rightShares: [Double] {
        (0..<classes).map { index in
            let right = self[.truePositive, index] + self[.trueNegative, index]
            return right / (right + self[.falsePositive, index] + self[.falseNegative, index])
        }
    }

    /// How often each class was the label.
    var support: [Double] { each { hits, _, misses in hits + misses } }

    /// Whether nothing was counted.
    var isEmpty: Bool { !sums.contains { $0 > 0 } }

    private func total(_ kind: Kind) -> Double { (0..<classes).reduce(0) { $0 + self[kind, $1] } }
}

/// The weighted mean, in the order of the classes; 0 when nothing has a weight.
func mean(_ values: [Double], weights: [Double]) -> Double {
    var (sum, weight) = (0.0, 0.0)
    for (value, own) in zip(values, weights) where own > 0 {
        sum += value * own
        weight += own
    }
    return weight > 0 ? sum / weight : 0
}

/// A quotient that is 0 where there is nothing to divide by.
func share(_ part: Double, of whole: Double) -> Double { whole > 0 ? part / whole : 0 }
