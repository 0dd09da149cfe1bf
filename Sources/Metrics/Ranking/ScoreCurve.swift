/// Positive and negative samples in groups of equal score, from the highest score to the lowest.
///
/// Made of counts alone: the order in which samples came, and the ranks they came from, leave no trace.
struct ScoreCurve {
    /// Samples of the class in each group.
    let positives: [Double]
    /// Other samples in each group.
    let negatives: [Double]

    /// A curve from counts.
    init(positives: [Double], negatives: [Double]) {
        self.positives = positives
        self.negatives = negatives
    }

    /// A curve from samples.
    init(_ samples: [(score: Double, isPositive: Bool)]) {
        var positives: [Double] = [], negatives: [Double] = []
        var last: Double?
        for sample in samples.sorted(by: { $0.score > $1.score }) {
            if sample.score != last {
                positives.append(0)
                negatives.append(0)
                last = sample.score
            }
            if sample.isPositive {
                positives[positives.count - 1] += 1
            } else {
                negatives[negatives.count - 1] += 1
            }
        }
        self.init(positives: positives, negatives: negatives)
    }

    /// All samples of the class.
    var positiveCount: Double { positives.reduce(0, +) }

    /// The area under the curve of hits over false alarms; NaN without positive or without negative samples.
    ///
    /// The share of pairs of a positive and a negative sample in which the positive one has the higher score; a tie
    /// counts half (Mann and Whitney).
    var areaUnderROC: Double {
        let (positive, negative) = (positiveCount, negatives.reduce(0, +))
        guard positive > 0, negative > 0 else { return .nan }
        var (below, pairs) = (negative, 0.0)
        for (own, others) in zip(positives, negatives) {
            below -= others
            pairs += own * (below + others / 2)
        }
        return pairs / (positive * negative)
    }

    /// The mean of the precisions at each score, weighted by the recall gained there; NaN without positive samples.
    var averagePrecision: Double {
        let all = positiveCount
        guard all > 0 else { return .nan }
        var (hits, decided, sum) = (0.0, 0.0, 0.0)
        for (own, others) in zip(positives, negatives) where own + others > 0 {
            hits += own
            decided += own + others
            sum += own * (hits / decided)
        }
        return sum / all
    }
}
