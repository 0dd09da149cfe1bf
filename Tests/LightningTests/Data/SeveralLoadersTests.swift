import Foundation
import HDF5
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// A module that says of each evaluation batch where it came from.
private final class Judge: LightningModule, TrainingModule, SeveralLoadersValidationModule, SeveralLoadersTestModule,
    SeveralLoadersPredictionModule
{
    private let weight = Parameter(Tensor([1.0]))
    private let average = MeanMetric()
    private let averageOfAll = MeanMetric()
    var heard: [String] = []

    func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
        heard.append("train \(batch.indices)")
        return (weight.value * batch.targets).squared().mean()
    }

    func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }

    func validationStep(_ batch: NumberedBatch, batchIndex: Int, dataLoaderIndex: Int) {
        heard.append("\(dataLoaderIndex).\(batchIndex) \(batch.indices)")
        let value = Double(batch.indices.reduce(0, +)) / Double(batch.sampleCount)
        log("mean", value)
        log("forked", value, onStep: true, onEpoch: true)
        log("all", value, addDataLoaderIndex: false)
        for sample in batch.indices {
            average.update(Double(sample))
            averageOfAll.update(Double(sample))
        }
        log("metric", average)
        log("metric of all", averageOfAll, addDataLoaderIndex: false)
    }

    func testStep(_ batch: NumberedBatch, batchIndex: Int, dataLoaderIndex: Int) {
        logDictionary(["most": Double(batch.indices.max() ?? 0)], reduce: .max)
    }

    func predictStep(_ batch: NumberedBatch, batchIndex: Int, dataLoaderIndex: Int) -> Tensor {
        Tensor(batch.indices.flatMap { [Double($0), Double(dataLoaderIndex)] }, shape: [batch.sampleCount, 2])
    }

    override func onBeforeBatchTransfer(_ batch: any DataBatch, dataLoaderIndex: Int) -> any DataBatch {
        heard.append("transfer \(dataLoaderIndex)")
        return batch
    }

    override func onValidationBatchEnd(_ output: Any, batch: any DataBatch, batchIndex: Int, dataLoaderIndex: Int) {
        heard.append("end \(dataLoaderIndex).\(batchIndex)")
    }

    override func onValidationEpochEnd() { log("ends", 1) }
}

/// Several loaders in evaluation: one after the other, each with its number.
@Suite(.serialized) struct SeveralLoadersTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func run() -> ToyRun {
        var run = ToyRun(directory: scratch.path)
        run.trainer.loggers = []
        return run
    }

    private func loader(_ count: Int) -> DataLoader<NumberedBatch> {
        DataLoader(NumberedDataset(count: count), batchSize: 2)
    }

    private let wanted: [String: Double] = [
        "mean/dataloader_idx_0": 1, "mean/dataloader_idx_1": 2, "forked_epoch/dataloader_idx_0": 1,
        "forked_epoch/dataloader_idx_1": 2, "metric/dataloader_idx_0": 1, "metric/dataloader_idx_1": 2,
        // 0 + 1 + 2, and 0 + 1 + 2 + 3 + 4, of eight samples.
        "all": 13 / 8.0, "metric of all": 13 / 8.0, "ends": 1,
    ]

    @Test func eachHasItsNumberAndItsMetrics() throws {
        let module = Judge()
        let trainer = try run().makeTrainer()
        let metrics = try trainer.validate(module, [loader(3), loader(5)])
        #expect(
            module.heard.filter { !$0.hasPrefix("transfer") } == [
                "0.0 [0, 1]", "end 0.0", "0.1 [2]", "end 0.1", "1.0 [0, 1]", "end 1.0", "1.1 [2, 3]", "end 1.1",
                "1.2 [4]", "end 1.2",
            ])
        #expect(
            module.heard.filter { $0.hasPrefix("transfer") }.map { $0.suffix(1) } == ["0", "0", "1", "1", "1"])
        #expect(metrics == wanted)
        // Callbacks may also monitor the name without the fork.
        #expect(trainer.callbackMetrics["forked/dataloader_idx_1"] == 2)
        #expect(trainer.callbackMetrics["forked_step/dataloader_idx_1"] == 4)
        #expect(module.dataLoaderIndex == 0)
        // Again: nothing is left of the first time.
        #expect(try trainer.validate(module, [loader(3), loader(5)]) == wanted)
        #expect(
            try trainer.test(module, [loader(3), loader(5)])
                == ["most/dataloader_idx_0": 2, "most/dataloader_idx_1": 4])
    }

    /// One loader alone has no number, also as a list.
    @Test func oneLoader() throws {
        let metrics = try run().makeTrainer().validate(Judge(), [loader(5)])
        #expect(
            metrics == ["mean": 2, "forked_epoch": 2, "all": 2, "metric": 2, "metric of all": 2, "ends": 1])
    }

    /// Limits hold for each loader, and an empty one among them has no values.
    @Test func limits() throws {
        var run = run()
        run.trainer.limitValidationBatches = .batches(1)
        let module = Judge()
        var metrics = try run.makeTrainer().validate(module, [loader(3), loader(0), loader(5)])
        #expect(module.heard.filter { $0.contains("[") } == ["0.0 [0, 1]", "2.0 [0, 1]"])
        #expect(metrics["mean/dataloader_idx_0"] == 0.5 && metrics["mean/dataloader_idx_2"] == 0.5)
        #expect(metrics["mean/dataloader_idx_1"] == nil && metrics["all"] == 0.5)
        run.trainer.limitValidationBatches = .fraction(0.5)
        metrics = try run.makeTrainer().validate(Judge(), [loader(4), loader(8)])
        #expect(metrics["mean/dataloader_idx_0"] == 0.5 && metrics["mean/dataloader_idx_1"] == 1.5)
    }

    /// Validation in a fit, the sanity check too, and a monitored metric of one loader.
    @Test func inAFit() throws {
        var run = run()
        (run.trainer.maxEpochs, run.trainer.sanityValidationBatches) = (1, 1)
        run.checkpoint = ModelCheckpoint(monitor: "mean/dataloader_idx_1")
        let (trainer, module) = (try run.makeTrainer(), Judge())
        try trainer.fit(module, train: loader(2), validation: [loader(3), loader(5)])
        let calls = module.heard.filter { $0.contains("[") && !$0.hasPrefix("train") }
        let whole = ["0.0 [0, 1]", "0.1 [2]", "1.0 [0, 1]", "1.1 [2, 3]", "1.2 [4]"]
        #expect(calls == ["0.0 [0, 1]", "1.0 [0, 1]"] + whole)
        for (name, value) in wanted { #expect(trainer.callbackMetrics[name] == value, "\(name)") }
        #expect(trainer.checkpointCallback?.bestScore == 2)
    }

    /// Rows of each loader, in the order of its data set, returned and written.
    @Test func predictions() throws {
        var run = run()
        let module = Judge()
        let rows = try run.makeTrainer().predict(
            module, [loader(3), loader(0), DataLoader(NumberedDataset(count: 5), batchSize: 2, shuffles: true)])
        #expect(rows.map { $0?.doubles } == [[0, 0, 1, 0, 2, 0], nil, [0, 2, 1, 2, 2, 2, 3, 2, 4, 2]])
        let path = scratch.file("predictions.h5")
        run.callbacks = [PredictionWriter(path: path)]
        let trainer = try run.makeTrainer()
        #expect(try trainer.predict(module, [loader(3), loader(5)]).allSatisfy { $0 == nil })
        let written = try HDF5File.open(at: path).dataset("predictions").read(as: Double.self)
        #expect(written == [0, 0, 1, 0, 2, 0, 0, 1, 1, 1, 2, 1, 3, 1, 4, 1])
        let combined = DataLoader(combining: loader(4), loader(4)) { first, _ in first }
        let error = #expect(throws: TrainingError.self) { try trainer.predict(module, combined) }
        #expect(error?.description.hasPrefix("predictions are in the order of a data set") == true)
    }

    /// A name that says the number itself would be taken for another loader's.
    @Test func theNumberIsTheTrainers() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            final class Naming: LightningModule, ValidationModule {
                func validationStep(_ batch: NumberedBatch, batchIndex: Int) {
                    log("x/dataloader_idx_\(dataLoaderIndex)", 1)
                }
            }
            let data = DataLoader(NumberedDataset(count: 2), batchSize: 2)
            let trainer = try Trainer(defaultRootDir: NSTemporaryDirectory(), loggers: [])
            try trainer.validate(Naming(), [data, data])
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains("the number of the data loader is added by the trainer; leave it out"), "\(text)")
    }
}
