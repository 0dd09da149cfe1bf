import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Metrics in properties of a module: the same bits on any number of ranks, and after a resume in the middle of an epoch.
@Suite(.serialized) struct MetricTests {
    private static let names: Set = [
        "train_area", "train_r2", "val_top1", "val_top2", "val_f1_macro", "val_f1_micro", "val_ap", "val_first",
        "val_one",
        "confusion",
    ]

    /// Sizes that divide and sizes that do not; of two samples some ranks have none.
    @Test(arguments: ["samples=24 heldOut=12", "samples=25 heldOut=13", "samples=13 heldOut=2", "samples=2 heldOut=29"])
    func anyNumberOfRanksGivesTheSameBits(options: String) throws {
        let arguments = options.split(separator: " ").map(String.init) + ["global=12"]
        let one = try SelfTest.success("metrics", arguments, in: try ScratchDirectory(), ranks: 0).values("metric")
        #expect(Set(one.keys) == Self.names)
        checkAgainstWhole(one, arguments)
        for ranks in 1...4 {
            let many = try SelfTest.success("metrics", arguments, in: try ScratchDirectory(), ranks: ranks)
            var values = many.values("metric"), wanted = one
            // Sums of real numbers are rounded differently.
            let squares = [values.removeValue(forKey: "train_r2"), wanted.removeValue(forKey: "train_r2")]
            let numbers = squares.compactMap { $0.flatMap(Double.init) }
            try #require(numbers.count == 2)
            #expect(abs(numbers[0] - numbers[1]) <= 1e-12 * abs(numbers[1]), "\(ranks) ranks")
            #expect(values == wanted, "\(ranks) ranks")
            for key in values.keys where key != "confusion" {
                #expect(many["ranks with \(key)"] == "\(ranks)", "\(key)")
            }
            #expect(many["metrics not reset"] == "[]")
        }
    }

    /// The same metrics over all samples at once, without a trainer.
    private func checkAgainstWhole(_ found: [String: String], _ arguments: [String]) {
        let heldOut = arguments.lazy.compactMap { $0.hasPrefix("heldOut=") ? Int($0.dropFirst(8)) : nil }.first ?? 0
        guard let batch = try? NumberedDataset(count: heldOut).batch(at: Array(0..<heldOut)) else { return }
        let labels = Tensor(batch.indices.map { Int64(($0 * $0 + 1) % 3) })
        let matrix = ConfusionMatrix(.multiclass(3)), score = F1Score(.multiclass(3))
        matrix.update(batch.inputs.softmax(), labels)
        score.update(batch.inputs.softmax(), labels)
        #expect(found["confusion"] == "\(matrix.compute().doubles)")
        #expect(found["val_f1_macro"] == "\(score.compute())")
        #expect(found["val_first"] == "0.0")
    }

    /// Killed in the middle of an epoch; gone on with on as many ranks, fewer and more.
    @Test func aKilledRunGoesOnWithItsMetrics() throws {
        let arguments = ["samples=25", "heldOut=7", "global=6", "epochs=2", "saveEvery=1"]
        for (ranks, later) in [(0, [0, 2]), (2, [2, 1, 3])] {
            let whole = try SelfTest.success("metrics", arguments, in: try ScratchDirectory(), ranks: ranks)
            for resumed in later {
                for step in [3, 7] {
                    let scratch = try ScratchDirectory()
                    let killed = try SelfTest("metrics", arguments + ["killAt=\(step)"], in: scratch, ranks: ranks)
                    #expect(killed.run.status == 137, "\(killed.run.output)")
                    let last = scratch.file("checkpoints/last.h5")
                    let rest = try SelfTest.success(
                        "metrics", arguments + ["resume=\(last)"], in: scratch, ranks: resumed)
                    var found = rest.values("metric"), wanted = whole.values("metric")
                    if ranks != resumed { for key in ["train_r2"] { found[key] = nil; wanted[key] = nil } }
                    #expect(found == wanted, "\(ranks) ranks, then \(resumed), killed at step \(step)")
                }
            }
        }
    }

    // MARK: - Misuse

    private static let mistakes = [
        "log(\"loss\"): the metric is not in a property of Wrong",
        "log(\"b\"): the metric in 'metric' is logged as \"a\" too, in training and in evaluation",
        "log(\"a\"): the name was logged in this epoch with other arguments, or another kind of value",
        "log(\"a\"): with neither onStep nor onEpoch nothing would be logged",
        "log(\"a\"): the name was logged in this epoch with other arguments, or another kind of value",
    ]

    private final class Wrong: LightningModule, TrainingModule, ValidationModule {
        let factor = Parameter(Tensor([0.5]))
        let metric = MeanMetric()
        var mistake = 0

        func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
            switch mistake {
            case 0: log("loss", MeanMetric())
            case 1: log("a", metric)
            case 2:
                log("a", 1, onStep: true)
                log("a", 1, onStep: true, onEpoch: true)
            case 3: log("a", 1, onStep: false, onEpoch: false)
            default:
                log("a", metric)
                log("a", 1)
            }
            return (factor.value * batch.targets).mean()
        }

        func validationStep(_ batch: NumberedBatch, batchIndex: Int) { log("b", metric) }
        func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
    }

    @Test(arguments: mistakes.indices) func mistakesInLogging(number: Int) async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { [number] in
            let scratch = try ScratchDirectory()
            var run = ToyRun(directory: scratch.path)
            run.trainer.sanityValidationBatches = 0
            run.trainer.validateEveryBatches = 2
            let module = Wrong()
            module.mistake = number
            try run.makeTrainer().fit(module, train: run.loader(12), validation: run.loader(4))
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains(Self.mistakes[number]), "\(text)")
    }
}
