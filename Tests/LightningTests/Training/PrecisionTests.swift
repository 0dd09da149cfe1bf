import Checkpoints
import ExampleModules
import Foundation
import Lightning
import TestSupport
import Testing

/// Runs in every precision.
@Suite(.serialized) struct PrecisionTests {
    @Test(arguments: [
        ("float32", Precision.float32), ("32-true", .float32), ("float64True", .float64True), ("64-true", .float64True),
        ("bfloat16Mixed", .bfloat16Mixed), ("bf16-mixed", .bfloat16Mixed), ("bfloat16True", .bfloat16True),
        ("bf16-true", .bfloat16True),
    ])
    func names(_ name: String, _ precision: Precision) throws {
        let file = try ConfigurationFile(text: "trainer:\n  precision: \(name)\n", name: "a.yaml")
        let configuration = try file.decode(Trainer.Configuration.self, at: "trainer")
        #expect(configuration.precision == precision)
        #expect(try JSONEncoder().encode([precision]) == Data("[\"\(precision.rawValue)\"]".utf8))
    }

    @Test(arguments: [
        (
            "16-mixed",
            "float16 needs hardware that CPUs do not have; bfloat16Mixed is as fast and needs no loss scaling. "
        ),
        ("bfloat16", ""), ("transformer-engine", "8-bit products need hardware that CPUs do not have. "),
    ])
    func otherNames(_ name: String, _ hint: String) throws {
        let file = try ConfigurationFile(text: "trainer:\n  precision: \(name)\n", name: "a.yaml")
        let error = #expect(throws: ConfigurationError.self) {
            _ = try file.decode(Trainer.Configuration.self, at: "trainer")
        }
        #expect(
            error?.description
                == "a.yaml:2: trainer.precision: unknown value '\(name)'; \(hint)allowed: float32, float64True, "
                + "bfloat16Mixed, bfloat16True (or 32-true, 64-true, bf16-mixed, bf16-true)")
    }

    // MARK: - What steps see

    /// Notes types and precision in each step.
    private final class Witness: LightningModule, TrainingModule, ValidationModule, TestModule, PredictionModule {
        let layer = Linear(3, 2)
        let norm = BatchNorm(2)
        var seen: Set<String> = []

        private func note(_ stage: String, _ batch: LabeledBatch) -> Tensor {
            let result = norm(layer(batch.inputs)) + Tensor.ones([2])
            let types = [batch.inputs.dtype, result.dtype, norm.runningMean.value.dtype, batch.labels.dtype]
            seen.insert("\(stage): \(precision), \(types), products \(ProductPrecision.current)")
            return result
        }
        func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor { note("train", batch).mean() }
        func validationStep(_ batch: LabeledBatch, batchIndex: Int) { log("val_loss", note("val", batch).mean()) }
        func testStep(_ batch: LabeledBatch, batchIndex: Int) { log("test_loss", note("test", batch).mean()) }
        func predictStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor { note("predict", batch) }
        func configureOptimizers() -> OptimizerConfiguration {
            seen.insert("optimizer: \(parameters.map(\.dtype))")
            return OptimizerConfiguration(SGD(parameters, learningRate: 0.1))
        }
    }

    private func quiet(_ precision: Precision, _ scratch: ScratchDirectory, epochs: Int = 1) -> Trainer.Configuration {
        var configuration = Trainer.Configuration()
        configuration.precision = precision
        configuration.maxEpochs = epochs
        configuration.enableProgressBar = false
        configuration.enableModelSummary = false
        configuration.enableCheckpointing = false
        configuration.defaultRootDir = scratch.path
        return configuration
    }

    @Test(arguments: [
        (Precision.float32, DType.float32, "float32"), (.float64True, .float64, "float32"),
        (.bfloat16Mixed, .float32, "bfloat16"), (.bfloat16True, .bfloat16, "float32"),
    ])
    func everyStepHasThePrecision(precision: Precision, type: DType, products: String) throws {
        let scratch = try ScratchDirectory()
        let data = DataLoader(
            TensorDataset(inputs: sampleValues([12, 3], dtype: .float32), labels: Tensor((0..<12).map { Int64($0) })),
            batchSize: .global(4))
        let module = Witness()
        #expect(module.precision == .float32)
        let trainer = try Trainer(configuration: quiet(precision, scratch))
        try trainer.fit(module, train: data, validation: data)
        try trainer.test(module, data)
        let predictions = try #require(try trainer.predict(module, data))
        #expect(predictions.dtype == type)
        let types = [type, type, type, DType.int64]
        let words = "\(precision), \(types), products \(products)"
        let stages = ["train", "val", "test", "predict"].map { "\($0): \(words)" }
        #expect(module.seen == Set(stages + ["optimizer: \([DType](repeating: type, count: 4))"]))
        #expect(ProductPrecision.current == .float32 && DType.standard == .float32)

        // Another trainer gives the module its own types, and a file is converted.
        let path = scratch.file("a.h5")
        try trainer.saveCheckpoint(path)
        #expect(try Checkpoint.read(from: path).get("precision", as: Precision.self) == precision)
        for other in [Precision.float64True, .float32, .bfloat16True] {
            let wanted: DType = other == .float64True ? .float64 : other == .bfloat16True ? .bfloat16 : .float32
            let next = Witness()
            let after = try Trainer(configuration: quiet(other, scratch, epochs: 2))
            try after.fit(next, train: data, validation: data, checkpoint: path)
            #expect(after.globalStep == 6 && next.layer.weight.dtype == wanted)
            try after.test(module, data)
            #expect(module.layer.weight.dtype == wanted)
        }
    }

    // MARK: - Convergence

    private func train(_ precision: Precision, channels: [Int], epochs: Int) throws -> (loss: Double, accuracy: Double)
    {
        let scratch = try ScratchDirectory()
        return try RandomContext.$current.withValue(RandomContext(seed: 11)) {
            var settings = ImageClassifier.Hyperparameters()
            settings.channels = channels
            settings.hidden = 64
            settings.dropout = 0
            settings.learningRate = 6e-3
            settings.scheduleEpochs = epochs
            let trainer = try Trainer(configuration: quiet(precision, scratch, epochs: epochs))
            let (module, data) = (try ImageClassifier(settings), try DigitsData())
            try trainer.fit(module, data: data)
            let metrics = try trainer.test(module, data: data)
            return (try #require(metrics["test_loss"]), try #require(metrics["test_acc"]))
        }
    }

    /// The digits are learnt as well in any precision.
    @Test func everyPrecisionLearns() throws {
        let reference = try train(.float32, channels: [8, 16], epochs: 6)
        #expect(reference.accuracy > 0.93)
        let double = try train(.float64True, channels: [8, 16], epochs: 6)
        #expect(abs(double.loss - reference.loss) < 1e-3 && abs(double.accuracy - reference.accuracy) < 0.006)
        for precision in [Precision.bfloat16Mixed, .bfloat16True] {
            let result = try train(precision, channels: [8, 16], epochs: 6)
            print("digits, \(precision): \(result), float32: \(reference)")
            #expect(abs(result.loss - reference.loss) < 0.03, "\(precision): \(result), float32: \(reference)")
            #expect(abs(result.accuracy - reference.accuracy) < 0.02, "\(precision): \(result), float32: \(reference)")
            #expect(result.loss != reference.loss, "\(precision) is no precision of its own")
        }
    }

    // MARK: - Ranks

    private func job(_ precision: String, ranks: Int, _ scratch: ScratchDirectory) throws -> [String: Double] {
        let yaml = """
            experiment: digits
            model: {channels: [4, 8], hidden: 16, dropout: 0}
            data: {batch: {global: 60}}
            trainer:
              precision: \(precision)
              maxEpochs: 2
              enableProgressBar: false
              defaultRootDir: \(scratch.file("runs"))
            """
        let path = scratch.file("digits.yaml")
        try yaml.write(toFile: path, atomically: true, encoding: .utf8)
        let run = try MPIRun("lightning", ["fit", "--config", path, "--then-test", "--json"], ranks: ranks, limit: 120)
        try #require(run.status == 0, "\(run.output)")
        let line = try #require(run.output.split(separator: "\n").last { $0.hasPrefix("{") })
        let report = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        return (report ?? [:]).compactMapValues { $0 as? Double }.filter { $0.key.hasSuffix("_loss") }
    }

    /// In double precision ranks differ by nothing but the order of sums.
    @Test(arguments: [("float64True", 1e-12), ("bfloat16Mixed", 0.02), ("bfloat16True", 0.05)])
    func anyNumberOfRanks(precision: String, tolerance: Double) throws {
        let scratch = try ScratchDirectory()
        let one = try job(precision, ranks: 0, scratch), two = try job(precision, ranks: 2, scratch)
        #expect(one.count >= 3 && one.keys == two.keys, "\(one) \(two)")
        for (name, loss) in one {
            let other = try #require(two[name])
            #expect(abs(other - loss) <= tolerance * loss, "\(name): \(loss) and \(other)")
        }
    }
}
