import Foundation
import Metrics
import Tensors
import TestSupport
import Testing

/// Numbers of torchmetrics and scikit-learn, and the same numbers however samples are cut into batches and ranks.
struct GoldenTests {
    private let golden: GoldenTensors

    init() throws { golden = try GoldenTensors("metrics", in: .module) }

    /// Compares a metric with a golden number, whole and in parts.
    ///
    /// - Parameters:
    ///   - tolerance: Relative; wider for numbers that torchmetrics computed in single precision.
    ///   - isCounted: Whether the parts must give the same bits.
    private func check<M: Metric>(
        _ name: String, _ make: () -> M, _ inputs: (Tensor, Tensor), tolerance: Double = 1e-12, isCounted: Bool = true,
        value: (M) -> [Double], update: (M, Tensor, Tensor) -> Void
    ) throws {
        let whole = make()
        update(whole, inputs.0, inputs.1)
        let number = value(whole)
        expectClose(number, try golden(name).doubles, relative: tolerance, absolute: tolerance, name)
        let rows = inputs.1.shape[0]
        for (ranks, size) in [(1, 1), (2, 7), (3, 64), (4, 150)] {
            let parts = (0..<ranks).map { _ in make() }
            for (batch, start) in stride(from: 0, to: rows, by: size).enumerated() {
                let range = start..<min(start + size, rows)
                update(parts[batch % ranks], inputs.0[range], inputs.1[range])
            }
            let merged = make()
            for part in parts { merged.merge(part.state) }
            if isCounted {
                #expect(value(merged) == number, "\(name) on \(ranks) ranks in batches of \(size)")
            } else {
                expectClose(value(merged), number, relative: 1e-12, "\(name) on \(ranks) ranks")
            }
        }
    }

    private func inputs(_ name: String, _ first: String = "scores", _ second: String = "labels") throws -> (
        Tensor, Tensor
    ) {
        (try golden("\(name)/\(first)"), try golden("\(name)/\(second)"))
    }

    @Test func binary() throws {
        let pair = try inputs("binary")
        for threshold in [0.5, 0.3] {
            let task = ClassificationTask.binary(threshold: threshold)
            func key(_ name: String) -> String { "binary/\(name)/\(threshold)" }
            try check(key("accuracy"), { Accuracy(task) }, pair, value: { [$0.compute()] }) { $0.update($1, $2) }
            try check(key("precision"), { PrecisionScore(task) }, pair, value: { [$0.compute()] }) { $0.update($1, $2) }
            try check(key("recall"), { RecallScore(task) }, pair, value: { $0.computeEach() }) { $0.update($1, $2) }
            try check(key("f1"), { F1Score(task) }, pair, value: { [$0.compute()] }) { $0.update($1, $2) }
            try check(key("confusion"), { ConfusionMatrix(task) }, pair, value: { $0.compute().doubles }) {
                $0.update($1, $2)
            }
        }
        for (suffix, thresholds, tolerance) in [("", Thresholds.exact, 1e-12), ("/bins", .bins(101), 1e-6)] {
            try check(
                "binary/auroc" + suffix, { AUROC(.binary(), thresholds: thresholds) }, pair, tolerance: tolerance,
                value: { [$0.compute()] }
            ) { $0.update($1, $2) }
            try check(
                "binary/averagePrecision" + suffix, { AveragePrecision(.binary(), thresholds: thresholds) }, pair,
                tolerance: tolerance, value: { $0.computeEach() }
            ) { $0.update($1, $2) }
        }
    }

    @Test func multiclass() throws {
        let pair = try inputs("multiclass")
        try checkClasses("multiclass", .multiclass(5), pair, accuracies: 1e-6)
        let task = ClassificationTask.multiclass(5)
        for top in [2, 3] {
            try check("multiclass/accuracy/top\(top)", { Accuracy(task, top: top) }, pair, value: { [$0.compute()] }) {
                $0.update($1, $2)
            }
        }
        try check("multiclass/confusion", { ConfusionMatrix(task) }, pair, value: { $0.compute().doubles }) {
            $0.update($1, $2)
        }
        // Classes decided beforehand count like the scores they come from.
        let decided = (pair.0.argmax(along: -1), pair.1)
        try check("multiclass/f1/macro", { F1Score(task) }, decided, value: { [$0.compute()] }) { $0.update($1, $2) }
        for average in ClassAverage.allCases {
            try check(
                "multiclass/auroc/\(average)", { AUROC(task, average: average) }, pair, value: { [$0.compute()] }
            ) { $0.update($1, $2) }
            try check(
                "multiclass/averagePrecision/\(average)", { AveragePrecision(task, average: average) }, pair,
                value: { [$0.compute()] }
            ) { $0.update($1, $2) }
        }
        // Classes that are never the label have no curve.
        try check("multiclass/auroc/none", { AUROC(task) }, pair, value: { Array($0.computeEach().prefix(3)) }) {
            $0.update($1, $2)
        }
        try check(
            "multiclass/averagePrecision/none", { AveragePrecision(task) }, pair,
            value: { Array($0.computeEach().prefix(3)) }
        ) { $0.update($1, $2) }
    }

    @Test func multilabel() throws {
        let pair = try inputs("multilabel")
        let task = ClassificationTask.multilabel(4)
        try checkClasses("multilabel", task, pair, accuracies: 1e-6)
        try check("multilabel/confusion", { ConfusionMatrix(task) }, pair, value: { $0.compute().doubles }) {
            $0.update($1, $2)
        }
        for (suffix, thresholds, tolerance) in [("", Thresholds.exact, 1e-12), ("/bins", .bins(101), 1e-6)] {
            for average in ClassAverage.allCases {
                try check(
                    "multilabel/auroc/\(average)\(suffix)", { AUROC(task, average: average, thresholds: thresholds) },
                    pair, tolerance: tolerance, value: { [$0.compute()] }
                ) { $0.update($1, $2) }
                try check(
                    "multilabel/averagePrecision/\(average)\(suffix)",
                    { AveragePrecision(task, average: average, thresholds: thresholds) }, pair, tolerance: tolerance,
                    value: { [$0.compute()] }
                ) { $0.update($1, $2) }
            }
            try check(
                "multilabel/auroc/none\(suffix)", { AUROC(task, thresholds: thresholds) }, pair, tolerance: tolerance,
                value: { $0.computeEach() }
            ) { $0.update($1, $2) }
        }
    }

    /// Accuracy, precision, recall and F1, averaged in each way and of each class.
    private func checkClasses(
        _ name: String, _ task: ClassificationTask, _ pair: (Tensor, Tensor), accuracies: Double
    ) throws {
        for average in ClassAverage.allCases {
            try check(
                "\(name)/accuracy/\(average)", { Accuracy(task, average: average) }, pair, tolerance: accuracies,
                value: { [$0.compute()] }
            ) { $0.update($1, $2) }
            try check(
                "\(name)/precision/\(average)", { PrecisionScore(task, average: average) }, pair,
                value: { [$0.compute()] }
            ) { $0.update($1, $2) }
            try check(
                "\(name)/recall/\(average)", { RecallScore(task, average: average) }, pair, value: { [$0.compute()] }
            ) {
                $0.update($1, $2)
            }
            try check("\(name)/f1/\(average)", { F1Score(task, average: average) }, pair, value: { [$0.compute()] }) {
                $0.update($1, $2)
            }
        }
        try check("\(name)/accuracy/none", { Accuracy(task) }, pair, tolerance: accuracies, value: { $0.computeEach() })
        {
            $0.update($1, $2)
        }
        try check("\(name)/precision/none", { PrecisionScore(task) }, pair, value: { $0.computeEach() }) {
            $0.update($1, $2)
        }
        try check("\(name)/recall/none", { RecallScore(task) }, pair, value: { $0.computeEach() }) { $0.update($1, $2) }
        try check("\(name)/f1/none", { F1Score(task) }, pair, value: { $0.computeEach() }) { $0.update($1, $2) }
    }

    @Test func regressionAndPerplexity() throws {
        let pair = try inputs("regression", "predictions", "targets")
        try check("regression/squared", { MeanSquaredError() }, pair, isCounted: false, value: { [$0.compute()] }) {
            $0.update($1, $2)
        }
        try check(
            "regression/root", { MeanSquaredError(root: true) }, pair, isCounted: false, value: { [$0.compute()] }
        ) { $0.update($1, $2) }
        try check("regression/absolute", { MeanAbsoluteError() }, pair, isCounted: false, value: { [$0.compute()] }) {
            $0.update($1, $2)
        }
        try check("regression/r2", { R2Score() }, pair, isCounted: false, value: { [$0.compute()] }) {
            $0.update($1, $2)
        }
        let tokens = try inputs("perplexity", "logits")
        try check("perplexity/value", { Perplexity() }, tokens, isCounted: false, value: { [$0.compute()] }) {
            $0.update($1, $2)
        }
    }
}
