import Foundation
import Metrics
import Tensors
import TestSupport
import Testing

/// What metrics do beside the numbers of other libraries: nothing seen, ties, merging, misuse.
struct MetricTests {
    @Test func nothingSeenIsNotANumber() {
        let numbers = [
            Accuracy(.multiclass(3)).compute(), Accuracy(.binary()).compute(), PrecisionScore(.multiclass(3)).compute(),
            RecallScore(.binary()).compute(), F1Score(.multilabel(2), average: .weighted).compute(),
            AUROC(.binary()).compute(), AveragePrecision(.multiclass(3)).compute(), MeanSquaredError().compute(),
            AUROC(.multiclass(3), thresholds: .bins(5)).compute(), MeanAbsoluteError().compute(), R2Score().compute(),
            Perplexity().compute(), MeanMetric().compute(),
        ]
        for (place, number) in numbers.enumerated() { #expect(number.isNaN, "metric \(place)") }
        #expect(ConfusionMatrix(.multiclass(2)).compute().doubles == [0, 0, 0, 0])
    }

    @Test func accuracyOfSequencesTypesAndClasses() {
        let metric = Accuracy(.multiclass(2))
        let logits = Tensor([0.1, 0.9, 3, -1, 0, 0.5, 2, 1], shape: [2, 2, 2])
        metric.update(logits, Tensor([Int64(1), 1, 1, 0], shape: [2, 2]))
        #expect(metric.compute() == 0.75)
        metric.update(logits.converted(to: .float32), Tensor([Int64(0), 0, 0, 1], shape: [2, 2]))
        #expect(metric.compute() == 0.5)
        metric.update(Tensor.zeros([0, 2]), Tensor.zeros([0], dtype: .int64))
        #expect(metric.compute() == 0.5)
        metric.reset()
        #expect(metric.state == MetricState(sums: 8))
        metric.update(Tensor([Int64(1), 0, 1]), Tensor([Int64(1), 1, 1]))
        #expect(metric.compute() == 2 / 3.0)
    }

    @Test func accuracyOfAModelsOutput() {
        let parameter = Parameter(Tensor([Float(1), 2], shape: [1, 2]))
        let metric = Accuracy(.multiclass(2))
        metric.update(parameter.value * 2, Tensor([Int64(1)]))
        #expect(metric.compute() == 1)
    }

    /// Rows of equal scores: the first class is the decision and the second comes next.
    @Test func ofEqualScoresTheLowerClassComesFirst() {
        for top in 1...3 {
            let metric = Accuracy(.multiclass(4), top: top)
            metric.update(Tensor(filling: 0.5, shape: [4, 4]), Tensor([Int64(0), 1, 2, 3]))
            #expect(metric.compute() == Double(top) / 4)
        }
        let metric = Accuracy(.multiclass(2), top: 2)
        metric.update(Tensor([Float.nan, 1, 1, .nan], shape: [2, 2]), Tensor([Int64(0), 0]))
        #expect(metric.compute() == 0.5, "what is not a number is among nothing's highest")
    }

    /// All pairs of small multisets of scores, against the definition: the share of pairs in the right order.
    @Test func areaIsTheShareOfPairsInOrder() {
        let scores = [0.1, 0.5, 0.5, 0.7, 0.7, 0.7, 0.9]
        for mask in 1..<(1 << scores.count) - 1 {
            let labels = scores.indices.map { Int64(mask >> $0 & 1) }
            var right = 0.0, pairs = 0.0
            for (own, label) in zip(scores, labels) where label == 1 {
                for (other, label) in zip(scores, labels) where label == 0 {
                    right += own > other ? 1 : own == other ? 0.5 : 0
                    pairs += 1
                }
            }
            let metric = AUROC(.binary())
            metric.update(Tensor(scores), Tensor(labels))
            #expect(metric.compute() == right / pairs)
        }
    }

    @Test func oneKindOfSampleHasNoArea() {
        for thresholds in [Thresholds.exact, .bins(3)] {
            let area = AUROC(.multiclass(3), thresholds: thresholds)
            area.update(Tensor([0.2, 0.5, 0.3, 0.6, 0.1, 0.3], shape: [2, 3]), Tensor([Int64(0), 1]))
            #expect(area.computeEach().map(\.isNaN) == [false, false, true])
            #expect(area.compute() == area.computeEach().prefix(2).reduce(0, +) / 2)
        }
        let precision = AveragePrecision(.binary())
        precision.update(Tensor([0.2, 0.5]), Tensor([Int64(0), 0]))
        #expect(precision.compute().isNaN)
    }

    /// Scores at thresholds, beside them, and outside of 0 … 1.
    @Test func binsAreBoundedByThresholds() {
        for count in 2...40 {
            let thresholds = (0..<count).map { Double($0) / Double(count - 1) }
            let scores = thresholds.flatMap { [$0.nextDown, $0, $0.nextUp] }
            let metric = AUROC(.binary(), thresholds: .bins(count))
            metric.update(Tensor(scores), Tensor(scores.map { _ in Int64(1) }))
            let wanted = (0...count).map { reached in
                Double(scores.count { score in thresholds.count { $0 <= score } == reached })
            }
            #expect(Array(metric.state.sums.prefix(count + 1)) == wanted, "\(count) thresholds")
        }
    }

    @Test func targetsFarFromZeroLoseNoDigits() {
        let near = R2Score(), far = R2Score()
        let targets = (0..<100).map { Double($0 * $0 % 17) }
        let predictions = targets.enumerated().map { $1 + Double($0 % 3) / 4 }
        near.update(Tensor(predictions), Tensor(targets))
        for start in stride(from: 0, to: 100, by: 9) {
            let part = R2Score(), range = start..<min(start + 9, 100)
            part.update(Tensor(predictions[range].map { $0 + 0x1p33 }), Tensor(targets[range].map { $0 + 0x1p33 }))
            far.merge(part.state)
        }
        #expect(abs(near.compute() - far.compute()) < 1e-9, "\(near.compute()) \(far.compute())")
        let constant = R2Score()
        constant.update(Tensor([2.0, 2]), Tensor([2.0, 2]))
        #expect(constant.compute() == 1)
        constant.update(Tensor([3.0]), Tensor([2.0]))
        #expect(constant.compute() == 0)
    }

    @Test func means() {
        let a = MeanMetric()
        a.update(3)
        a.update(6, weight: 2)
        #expect(a.compute() == 5)
        // A rank without samples has a mean of nothing, which is NaN, and it does not count.
        a.update(.nan, weight: 0)
        #expect(a.state.sums == [15, 3])
        let b = MeanMetric()
        a.merge(b.state)
        #expect(a.compute() == 5)
        b.update(1, weight: 7)
        b.merge(a.state)
        #expect(b.compute() == 2.2 && a.compute() == 5)
        a.update(.nan)
        #expect(a.compute().isNaN)
        a.reset()
        a.update(-1)
        #expect(a.compute() == -1)
    }

    @Test func statesAreSavedToTheBit() throws {
        var state = MetricState(sums: 3, lists: 2)
        state.sums = [0.1, -.infinity, .nan]
        state.samples = [[-0.0, .leastNonzeroMagnitude, .pi], []]
        let again = try JSONDecoder().decode(MetricState.self, from: JSONEncoder().encode(state))
        #expect(again.sums.map(\.bitPattern) == state.sums.map(\.bitPattern))
        #expect(again.samples.map { $0.map(\.bitPattern) } == state.samples.map { $0.map(\.bitPattern) })
    }

    // MARK: - Misuse

    private static let mistakes = [
        "Accuracy: scores float32 [2, 3], labels int64 [3]; scores have 3 in the last dimension",
        "RecallScore: a label is 3; labels are 0 ..< 3",
        "AUROC: a score is nan",
        "Accuracy: the 4 highest scores of multiclass(3)",
        "MetricState.merge: 4 sums and 0 lists with 8 and 0 lists",
    ]

    @Test(arguments: mistakes.indices) func misuse(number: Int) async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { [number] in
            switch number {
            case 0: Accuracy(.multiclass(3)).update(.zeros([2, 3]), .zeros([3], dtype: .int64))
            case 1: RecallScore(.multiclass(3)).update(.zeros([1, 3]), Tensor([Int64(3)]))
            case 2: AUROC(.binary()).update(Tensor([Double.nan]), Tensor([Int64(1)]))
            case 3: _ = Accuracy(.multiclass(3), top: 4)
            default: Accuracy(.multiclass(1)).merge(Accuracy(.multiclass(2)).state)
            }
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains(Self.mistakes[number]), "\(text)")
    }
}
