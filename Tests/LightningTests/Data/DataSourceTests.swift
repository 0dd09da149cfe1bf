import Checkpoints
import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// A toy module that brings its own data.
private final class SelfSupplied: LightningModule, TrainingModule, ValidationModule, TestModule, PredictionModule,
    TrainingSource, ValidationSource, TestSource, PredictionSource
{
    private let weight = Parameter(Tensor([0.5, -0.5]))
    var heard: [String] = []
    /// Samples of training in an epoch.
    var samples: (Int) -> Int = { _ in 8 }

    func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
        heard.append("step of \(batch.sampleCount)")
        return (weight.value - batch.targets).squared().mean()
    }

    func validationStep(_ batch: NumberedBatch, batchIndex: Int) { log("val", Double(batch.sampleCount), reduce: .sum) }
    func testStep(_ batch: NumberedBatch, batchIndex: Int) { log("test", Double(batch.sampleCount), reduce: .sum) }
    func predictStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor { batch.targets }
    func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }

    override func setup(_ stage: RunStage) { heard.append("setup \(stage)") }

    private func loader(_ name: String, _ count: Int) -> DataLoader<NumberedBatch> {
        heard.append("\(name) in epoch \(currentEpoch)")
        return DataLoader(NumberedDataset(count: count), batchSize: 4)
    }

    func trainDataLoader() -> DataLoader<NumberedBatch> { loader("train", samples(currentEpoch)) }
    func validationDataLoader() -> DataLoader<NumberedBatch> { loader("validation", 3) }
    func testDataLoader() -> DataLoader<NumberedBatch> { loader("test", 5) }
    func predictDataLoader() -> DataLoader<NumberedBatch> { loader("predict", 6) }

    /// The calls that are no steps.
    var requests: [String] { heard.filter { !$0.hasPrefix("step") } }
    var weights: [Double] { weight.value.doubles }
}

/// A data module that counts its uses.
private final class CountingData: LightningDataModule, HyperparameterDataModule, TrainingData {
    struct Hyperparameters: Codable, Sendable, Equatable { var samples = 8 }
    let hyperparameters: Hyperparameters
    var uses = 0
    var restored: [String] = []
    var errors: [String] = []
    var fails = false

    init(_ hyperparameters: Hyperparameters) { self.hyperparameters = hyperparameters }
    override func setup(_ stage: RunStage) { uses += 1 }
    override func saveState() -> String? { "\(uses)" }
    override func loadState(_ state: String) { restored.append(state) }
    override func onException(_ error: any Error) { errors.append("\(error)") }

    func trainDataLoader() -> DataLoader<NumberedBatch> {
        DataLoader(NumberedDataset(count: hyperparameters.samples, failing: fails ? 1 : nil), batchSize: 4)
    }
}

/// Where loaders come from.
@Suite(.serialized) struct DataSourceTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func run(_ epochs: Int = 2) -> ToyRun {
        var run = ToyRun(directory: scratch.path)
        run.trainer.maxEpochs = epochs
        run.trainer.loggers = []
        return run
    }

    /// After `setup`, once, and the same training as with loaders given.
    @Test func aModuleBringsItsData() throws {
        let own = SelfSupplied()
        let trainer = try run().makeTrainer()
        try trainer.fit(own)
        #expect(own.requests == ["setup fit", "train in epoch 0", "validation in epoch 0"])
        #expect(trainer.callbackMetrics["val"] == 3 && trainer.globalStep == 4)
        let given = SelfSupplied()
        let other = try run().makeTrainer()
        try other.fit(
            given, train: DataLoader(NumberedDataset(count: 8), batchSize: 4),
            validation: DataLoader(NumberedDataset(count: 3), batchSize: 4))
        #expect(given.requests == ["setup fit"] && given.weights == own.weights)

        own.heard = []
        #expect(try trainer.validate(own) == ["val": 3])
        #expect(try trainer.test(own) == ["test": 5])
        #expect(try trainer.predict(own)?.shape == [6, 2])
        #expect(
            own.requests == [
                "setup validate", "validation in epoch 2", "setup test", "test in epoch 2", "setup predict",
                "predict in epoch 2",
            ])
    }

    /// Asked again every so many epochs, and in the same epochs when a run goes on; an epoch may have another length.
    @Test func loadersAreAskedForAgain() throws {
        var run = run(5)
        run.trainer.reloadDataLoadersEveryEpochs = 2
        run.trainer.sanityValidationBatches = 0
        let module = SelfSupplied()
        module.samples = { 4 + 4 * $0 }
        let trainer = try run.makeTrainer()
        try trainer.fit(module)
        #expect(
            module.requests == [
                "setup fit", "train in epoch 0", "validation in epoch 0", "train in epoch 2", "validation in epoch 2",
                "train in epoch 4", "validation in epoch 4",
            ])
        #expect(trainer.progress.batch == 1 + 1 + 3 + 3 + 5 && trainer.progress.samples == 52)

        run.trainer.maxEpochs = 3
        let first = SelfSupplied()
        first.samples = module.samples
        let begun = try run.makeTrainer()
        try begun.fit(first)
        try begun.saveCheckpoint(scratch.file("after3.h5"))
        run.trainer.maxEpochs = 5
        let second = SelfSupplied()
        second.samples = { 4 + 4 * ($0 / 2 * 2) }
        let resumed = try run.makeTrainer()
        try resumed.fit(second, checkpoint: scratch.file("after3.h5"))
        #expect(
            second.requests == [
                "setup fit", "train in epoch 3", "validation in epoch 3", "train in epoch 4", "validation in epoch 4",
            ])
        #expect(resumed.progress == trainer.progress && second.weights == module.weights)
    }

    @Test func hyperparametersAndStateOfADataModule() throws {
        let path = scratch.file("saved.h5")
        let data = CountingData(.init(samples: 12))
        data.uses = 6
        let trainer = try run(1).makeTrainer()
        try trainer.fit(SelfSupplied(), data: data)
        try trainer.saveCheckpoint(path)
        #expect(data.restored == [] && data.errors == [])

        let built = try CountingData.load(fromCheckpoint: path)
        #expect(built.hyperparameters == .init(samples: 12))
        #expect(try CountingData.load(fromCheckpoint: path) { $0.samples += 1 }.hyperparameters.samples == 13)
        try run(2).makeTrainer().fit(SelfSupplied(), data: built, checkpoint: path)
        #expect(built.restored == ["7"])
        // Weights alone say how they were made, and have no state.
        try trainer.saveCheckpoint(path, weightsOnly: true)
        #expect(try CountingData.load(fromCheckpoint: path).hyperparameters.samples == 12)
        #expect(try Checkpoint.read(from: path).values.keys.contains("data CountingData") == false)
        let without = try run(1).makeTrainer()
        try without.fit(SelfSupplied())
        try without.saveCheckpoint(path)
        let error = #expect(throws: CheckpointError.self) { try CountingData.load(fromCheckpoint: path) }
        #expect(
            error?.description.hasSuffix("saved.h5 holds no hyperparameters of a data module; build it yourself")
                == true)

        data.fails = true
        #expect(throws: OnPurpose.self) { try run(1).makeTrainer().fit(SelfSupplied(), data: data) }
        #expect(data.errors == ["sample 1 cannot be read"])
    }

    /// The hooks of a data module come instead of the module's, one by one.
    @Test func batchesOnTheirWay() throws {
        final class Halving: LightningDataModule, TrainingData {
            var heard: [String] = []
            func trainDataLoader() -> DataLoader<NumberedBatch> {
                DataLoader(NumberedDataset(count: 2), batchSize: 2, shuffles: false)
            }
            override func onBeforeBatchTransfer(_ batch: any DataBatch, dataLoaderIndex: Int) -> (any DataBatch)? {
                heard.append("data before")
                guard var numbered = batch as? NumberedBatch else { return nil }
                numbered.targets = numbered.targets * 0.5
                return numbered
            }
        }
        final class Listening: LightningModule, TrainingModule {
            private let weight = Parameter(Tensor([1.0]))
            var heard: [String] = []
            var targets: [Double] = []
            func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor {
                targets = batch.targets.doubles
                return (weight.value * batch.targets).sum()
            }
            func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
            override func onBeforeBatchTransfer(_ batch: any DataBatch, dataLoaderIndex: Int) -> any DataBatch {
                heard.append("before")
                return batch
            }
            override func onAfterBatchTransfer(_ batch: any DataBatch, dataLoaderIndex: Int) -> any DataBatch {
                heard.append("after")
                return batch
            }
        }
        let (data, module) = (Halving(), Listening())
        try run(1).makeTrainer().fit(module, data: data)
        #expect(data.heard == ["data before"] && module.heard == ["after"])
        let targets = try NumberedDataset(count: 2).batch(at: [0, 1]).targets
        #expect(module.targets == (targets * 0.5).doubles)
        // Without the data module they are the module's again.
        try run(1).makeTrainer().fit(module, train: data.trainDataLoader())
        #expect(data.heard.count == 1 && module.heard == ["after", "before", "after"])
        #expect(module.targets == targets.doubles)
    }

    /// What a data module of data sets cannot do does not compile; what it can is what it was given.
    @Test func dataModulesOfDataSets() throws {
        func set(_ count: Int) -> NumberedDataset { NumberedDataset(count: count) }
        let all = LightningDataModule.fromDatasets(
            train: set(8), validation: set(3), test: set(5), predict: set(6), batchSize: 4)
        let trainer = try run(1).makeTrainer()
        let module = SelfSupplied()
        try trainer.fit(module, data: all)
        #expect(trainer.globalStep == 2 && trainer.callbackMetrics["val"] == 3)
        #expect(try trainer.test(module, data: all) == ["test": 5])
        #expect(try trainer.predict(module, data: all)?.shape == [6, 2])
        let training = LightningDataModule.fromDatasets(train: set(8))
        let alone = try run(1).makeTrainer()
        try alone.fit(SelfSupplied(), data: training)
        #expect(alone.globalStep == 8 && alone.callbackMetrics["val"] == nil)
        let fit = LightningDataModule.fromDatasets(train: set(8), validation: set(3), batchSize: .global(8))
        try alone.fit(SelfSupplied(), data: fit)
        #expect(alone.globalStep == 1 && alone.callbackMetrics["val"] == 3)
        #expect(
            try alone.test(
                module, data: LightningDataModule.fromDatasets(train: set(1), validation: set(1), test: set(2)))
                == ["test": 2])
    }

    // MARK: - Streams and epochs without an end

    @Test func streams() throws {
        var run = run(2)
        (run.loading, run.samples, run.trainer.validateEveryBatches) = (.stream, 18, 2)
        let (trainer, module) = try run.fit()
        // Batches of 4: five an epoch, the last of two.
        #expect(trainer.globalStep == 10 && trainer.progress.samples == 36)
        for epoch in 0..<2 { #expect(module.seen["train \(epoch)"]?.sorted() == Array(0..<18)) }
        #expect(module.seen["val"]?.count == 4 * run.heldOut, "after the batches 1 and 3 of each epoch")
        run.trainer.limitTrainBatches = .batches(3)
        #expect(try run.fit().0.globalStep == 6)
        run.trainer.limitTrainBatches = .fraction(0.5)
        let error = #expect(throws: TrainingError.self) { try run.fit() }
        #expect(
            error?.description
                == "trainer.limitTrainBatches: nobody knows what a fraction of a stream is; give a number of batches")
        // A stream to validate on.
        run = self.run(1)
        run.heldOutLoading = .stream
        let (_, validated) = try run.fit()
        #expect(validated.seen["val"] == Array(0..<11))
        #expect(throws: TrainingError.self) { try run.makeTrainer().predict(validated, run.heldOutLoader()) }
    }
}
