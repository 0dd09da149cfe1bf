import Tensors

/// Scores with their labels, as they are or counted in bins: what curves over thresholds are made of.
struct ScoreState {
    let task: ClassificationTask
    let thresholds: Thresholds
    let name: StaticString

    /// The state of a metric that has seen nothing.
    ///
    /// Binned, it has for each class the positives of each bin, then the negatives. Bin `i` lies below threshold `i`, and
    /// the last one at or above the last threshold.
    var empty: MetricState {
        switch thresholds {
        case .exact: return MetricState(sums: 0, lists: 2)
        case .bins(let count):
            require(count >= 2, name, "\(count) thresholds; at least 2")
            return MetricState(sums: task.classCount * 2 * (count + 1))
        }
    }

    /// Adds a batch.
    func add(_ scores: Tensor, _ labels: Tensor, to state: inout MetricState) {
        let labels = task.checkedLabels(name, scores, labels)
        let scores = scores.doubles
        if let wrong = scores.first(where: \.isNaN) { fail(name, "a score is \(wrong)") }
        switch thresholds {
        case .exact:
            state.samples[0] += scores
            state.samples[1] += labels.lazy.map(Double.init)
        case .bins(let count):
            for (place, score) in scores.enumerated() {
                let index = place % task.classCount
                let isPositive = isPositive(place, index, labels)
                state.sums[(2 * index + (isPositive ? 0 : 1)) * (count + 1) + bin(of: score, count)] += 1
            }
        }
    }

    /// Whether the score at a place is of a sample of its class.
    private func isPositive(_ place: Int, _ index: Int, _ labels: [Int]) -> Bool {
        if case .multiclass(let classes) = task { return labels[place / classes] == index }
        return labels[place] == 1
    }

    /// How many thresholds a score reaches.
    private func bin(of score: Double, _ count: Int) -> Int {
        func threshold(_ index: Int) -> Double { Double(index) / Double(count - 1) }
        if score < 0 { return 0 }
        if score >= 1 { return count }
        // The product may be rounded across a threshold; the comparison decides.
        var index = Int(score * Double(count - 1))
        if threshold(index) > score { index -= 1 }
        if threshold(index + 1) <= score { index += 1 }
        return index + 1
    }

    // MARK: - Curves

    /// The curve of each class against the rest.
    func curves(_ state: MetricState) -> [ScoreCurve] {
        let classes = task.classCount
        switch thresholds {
        case .exact:
            let labels = state.samples[1].map { Int($0) }
            return (0..<classes).map { index in
                let places = stride(from: index, to: state.samples[0].count, by: classes)
                return ScoreCurve(places.map { (state.samples[0][$0], isPositive($0, index, labels)) })
            }
        case .bins(let count):
            return (0..<classes).map { index in
                let start = 2 * index * (count + 1)
                return ScoreCurve(
                    positives: state.sums[start..<start + count + 1].reversed(),
                    negatives: state.sums[(start + count + 1)..<(start + 2 * count + 2)].reversed())
            }
        }
    }

    /// One curve of all decisions about all classes.
    private func joined(_ state: MetricState) -> ScoreCurve {
        switch thresholds {
        case .exact:
            let labels = state.samples[1].map { Int($0) }
            return ScoreCurve(
                state.samples[0].enumerated().map { ($1, isPositive($0, $0 % task.classCount, labels)) })
        case .bins:
            let all = curves(state)
            return ScoreCurve(
                positives: all.dropFirst().reduce(all[0].positives) { sums, curve in zip(sums, curve.positives).map(+)
                },
                negatives: all.dropFirst().reduce(all[0].negatives) { sums, curve in zip(sums, curve.negatives).map(+) }
            )
        }
    }

    /// A number of the curves of all classes; NaN when it is of none.
    func average(_ state: MetricState, _ average: ClassAverage, _ value: (ScoreCurve) -> Double) -> Double {
        if task.classCount == 1 || average == .micro { return value(joined(state)) }
        let curves = curves(state)
        let values = curves.map(value)
        let weights = zip(curves, values).map { curve, value in
            value.isNaN ? 0 : average == .macro ? 1 : curve.positiveCount
        }
        return weights.contains { $0 > 0 } ? mean(values, weights: weights) : .nan
    }
}
