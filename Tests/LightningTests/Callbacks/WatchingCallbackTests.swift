import Checkpoints
import Foundation
import HDF5
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Callbacks that watch, write and save.
@Suite(.serialized) struct WatchingCallbackTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    // MARK: - LambdaCallback

    @Test func closuresAreHooks() throws {
        var heard: [String] = []
        func hook(_ name: String) -> LambdaCallback.Hook { { _, _ in heard.append(name) } }
        let callback = LambdaCallback(
            onFitStart: hook("fit"), onFitEnd: hook("/fit"), onSanityCheckStart: hook("sanity"),
            onTrainStart: hook("train"), onTrainEnd: hook("/train"), onTrainEpochStart: hook("epoch"),
            onTrainEpochEnd: hook("/epoch"), onTrainBatchStart: { _, _, _, index in heard.append("batch \(index)") },
            onTrainBatchEnd: { _, _, batch, _ in heard.append("/batch \(batch.sampleCount)") },
            onAfterBackward: hook("backward"), onBeforeZeroGrad: { _, _, _ in heard.append("zero") },
            onBeforeOptimizerStep: { _, _, _ in heard.append("step") }, onValidationStart: hook("validation"),
            onValidationEnd: hook("/validation"), onTestStart: hook("test"), onTestEnd: hook("/test"),
            onPredictStart: hook("predict"), onPredictEnd: hook("/predict"),
            onMetricsReady: { _, _, moment in heard.append("ready \(moment)") })
        var run = ToyRun(directory: scratch.path)
        (run.samples, run.heldOut, run.trainer.maxEpochs, run.callbacks) = (6, 2, 1, [callback])
        let (trainer, module) = try run.fit()
        try trainer.test(module, run.loader(2))
        _ = try trainer.predict(module, run.loader(2))
        let batch = { (index: Int, samples: Int) in
            ["batch \(index)", "zero", "backward", "step", "/batch \(samples)", "ready optimizerStep"]
        }
        #expect(
            heard == ["fit", "sanity", "validation", "/validation", "train", "epoch"] + batch(0, 4) + batch(1, 2)
                + ["validation", "/validation", "/epoch", "ready epoch", "/train", "/fit"]
                + ["test", "/test", "predict", "/predict"])
    }

    // MARK: - PredictionWriter

    @Test func predictionsAreWritten() throws {
        let path = scratch.file("out/predictions.h5")
        var run = ToyRun(directory: scratch.path)
        run.callbacks = [PredictionWriter(path: path)]
        let (writing, module) = try (run.makeTrainer(), ToyModule(run.module))
        #expect(try writing.predict(module, run.loader(11)) == nil, "nothing is kept in memory")
        let rows = try #require(try Trainer(configuration: run.trainer).predict(module, run.loader(11)))
        #expect(try written(path) == rows.doubles)
        // In random order, and only a part.
        let shuffled = DataLoader(NumberedDataset(count: 11), batchSize: 4, shuffles: true)
        _ = try writing.predict(module, shuffled)
        #expect(try written(path) == rows.doubles)
        run.trainer.limitPredictBatches = .batches(2)
        _ = try run.makeTrainer().predict(module, run.loader(11))
        #expect(try written(path) == Array(rows.doubles[..<24]))
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        let error = #expect(throws: TrainingError.self) { try run.makeTrainer().predict(module, shuffled) }
        #expect(error?.description.contains("has no order of the data set") == true)
        // What was there before is still there, and nothing else.
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("out")) == ["predictions.h5"])
    }

    private func written(_ path: String) throws -> [Double] {
        let file = try HDF5File.open(at: path)
        defer { try? file.close() }
        return try file.dataset("predictions").read(as: Double.self)
    }

    /// Samples that do not divide, and a last batch that is too short for all ranks.
    @Test(arguments: [29, 25]) func ranksWriteTheSameFile(heldOut: Int) throws {
        var files: [[Double]] = []
        for ranks in [0, 2, 3] {
            let own = try ScratchDirectory()
            let arguments = ["global=12", "heldOut=\(heldOut)", "epochs=1", "with=writer"]
            _ = try SelfTest.success("train", arguments, in: own, ranks: ranks)
            files.append(try written(own.file("written.h5")))
        }
        #expect(stride(from: 0, to: files[0].count, by: 3).map { files[0][$0] } == (0..<heldOut).map(Double.init))
        #expect(largestDifference(["": files[1]], ["": files[0]]) < 1e-12)
        #expect(largestDifference(["": files[2]], ["": files[0]]) < 1e-12)
    }

    // MARK: - ThroughputMonitor, DeviceStatsMonitor

    @Test func ratesAreOverTheWindow() throws {
        var time = 0.0
        let monitor = ThroughputMonitor(window: 3, flopsPerSample: 10) { time }
        // A step takes 1, 2, 3, … seconds and a validation 1000.
        let clock = LambdaCallback(
            onBeforeZeroGrad: { trainer, _, _ in time += Double(trainer.globalStep + 1) },
            onValidationEpochStart: { _, _ in time += 1000 })
        let check = try ResumeCheck { [clock, monitor] }
        let (trainer, _) = try check.train("whole")
        // Steps 18, 19 and 20 take 57 seconds. The last epoch's last three batches have 4, 4 and 2 samples.
        let metrics = trainer.callbackMetrics
        #expect(metrics["throughput/samples_per_second"] == 10 / 57.0)
        #expect(metrics["throughput/flops_per_second"] == 10 / 57.0 * 10)
        #expect(metrics["throughput/batches_per_second"] == 3 / 57.0)
        #expect(metrics["throughput/steps_per_second"] == 3 / 57.0)
        let lines = try ResumeCheck.lines(trainer.runDirectory()).filter { $0.contains("throughput/samples") }
        #expect(lines.count == 20)
    }

    @Test(arguments: [0, 2]) func processesAreMeasured(ranks: Int) throws {
        let test = try SelfTest.success(
            "train", ["global=12", "samples=48", "epochs=1", "with=device"], in: try ScratchDirectory(), ranks: ranks)
        for name in ["memory_mib", "tensors_mib", "cpu_percent"] {
            let values = ["min", "mean", "max"].compactMap { test["metric device/\(name)_\($0)"].flatMap(Double.init) }
            try #require(values.count == 3)
            #expect(values[0] <= values[1] * (1 + 1e-12) && values[1] <= values[2] * (1 + 1e-12) && values[2] > 0)
            if name == "memory_mib" { #expect(values[0] > 1 && values[2] < 100_000) }
        }
    }

    // MARK: - Many ranks

    /// Each callback does on two ranks what it does on one, and goes on after the job was killed.
    @Test(arguments: ["ema", "swa", "accumulation", "rates"]) func ranksAgree(name: String) throws {
        let arguments = [
            "global=4", "samples=25", "epochs=4", "dropout=0", "with=\(name)", "monitor=val_loss", "saveEvery=1",
        ]
        let (one, whole) = (try ScratchDirectory(), try ScratchDirectory())
        _ = try SelfTest.success("train", arguments, in: one, ranks: 0)
        let two = try SelfTest.success("train", arguments, in: whole, ranks: 2)
        #expect(two["ranks with rank 0's weights"] == "2")
        #expect(try largestDifference(tensors(whole.file("final.h5")), tensors(one.file("final.h5"))) < 1e-12)
        let killed = try ScratchDirectory()
        let ended = try SelfTest("train", arguments + ["killAt=14"], in: killed, ranks: 2)
        try #require(ended.run.status == 137, "\(ended.run.output)")
        let last = killed.file("checkpoints/last.h5")
        let resumed = try SelfTest.success("train", arguments + ["resume=\(last)"], in: killed, ranks: 2)
        #expect(resumed.values("metric") == two.values("metric"))
        #expect(try tensors(killed.file("final.h5")) == tensors(whole.file("final.h5")))
    }

    // MARK: - OnExceptionCheckpoint

    /// A failure in a step, behind it, or in a validation: the run goes on to the same bits.
    @Test(arguments: ["step", "end", "validation"]) func aFailedRunGoesOn(place: String) throws {
        let guardian = OnExceptionCheckpoint(directory: scratch.file("saved"))
        var fails = false
        let fault = LambdaCallback(
            onTrainBatchEnd: { trainer, _, _, index in
                if fails, place == "end", trainer.currentEpoch == 1, index == 2 { throw OnPurpose("end") }
            },
            onAfterBackward: { trainer, _ in
                if fails, place == "step", trainer.globalStep == 7 { throw OnPurpose("step") }
            },
            onValidationBatchStart: { trainer, _, _, index in
                if fails, place == "validation", trainer.currentEpoch == 1, index == 1 { throw OnPurpose("validation") }
            })
        let check = try ResumeCheck { [fault, guardian] }
        try RandomContext.$current.withValue(RandomContext(seed: 3)) {
            let whole = try check.train("whole")
            #expect(!FileManager.default.fileExists(atPath: scratch.file("saved/on_exception.h5")))
            fails = true
            #expect(throws: OnPurpose.self) { try check.train("failed") }
            fails = false
            let file = scratch.file("saved/on_exception.h5")
            let resumed = try check.train("resumed", resuming: file)
            #expect(try tensors(check.scratch.file("resumed.h5")) == tensors(check.scratch.file("whole.h5")))
            #expect(resumed.0.callbackMetrics == whole.0.callbackMetrics)
            #expect(!FileManager.default.fileExists(atPath: file), "it is removed when a fit ends well")
        }
    }

    @Test func aFailureInsideAnUpdateSavesNothing() throws {
        final class Broken: LightningModule, TrainingModule {
            let weight = Parameter(Tensor([1.0]))
            func trainingStep(_ batch: NumberedBatch, batchIndex: Int) -> Tensor { weight.value.sum() }
            func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
            override func optimizerStep(epoch: Int, batchIndex: Int, optimizer: Optimizer) throws {
                optimizer.step()
                if globalStep == 1 { throw OnPurpose("half done") }
            }
        }
        let run = ToyRun(directory: scratch.path)
        let guardian = OnExceptionCheckpoint(directory: scratch.file("saved"))
        let trainer = try Trainer(configuration: run.trainer, callbacks: [guardian], loggers: [])
        #expect(throws: OnPurpose.self) { try trainer.fit(Broken(), train: run.loader(12)) }
        #expect(!FileManager.default.fileExists(atPath: scratch.file("saved/on_exception.h5")))
    }

    /// One rank of two fails: it saves alone, the job ends, and another job goes on to the same weights.
    @Test func aFailedJobGoesOn() throws {
        let arguments = ["global=4", "samples=25", "epochs=3", "with=exception", "sanity=0"]
        let whole = try ScratchDirectory(), failed = try ScratchDirectory()
        _ = try SelfTest.success("train", arguments, in: whole, ranks: 2)
        let ended = try SelfTest("fault", arguments + ["kind=throw"], in: failed, ranks: 2)
        #expect(ended.run.status == 1 && !ended.run.timedOut, "\(ended.run.output)")
        let file = failed.file("saved/on_exception.h5")
        #expect(ended.run.output.contains("saved \(file) to go on from"), "\(ended.run.output)")
        _ = try SelfTest.success("train", arguments + ["resume=\(file)"], in: failed, ranks: 2)
        #expect(try tensors(failed.file("final.h5")) == tensors(whole.file("final.h5")))
    }

    // MARK: - Finding a learning rate

    @Test func aLearningRateIsFound() throws {
        let check = try ResumeCheck { [] }
        let (trainer, module) = try check.train("whole")
        let (before, modes) = (module.stateDictionary, module.isTraining)
        let loader = DataLoader(TwoPartModule.data(18), batchSize: 4)
        let curve = try trainer.findLearningRate(module, train: loader, range: 1e-4...1, steps: 21)
        #expect(curve.rates.count == 21)
        for (step, rate) in curve.rates.enumerated() {
            #expect(abs(rate / pow(10, -4 + 4 * Double(step) / 20) - 1) < 1e-12)
        }
        for (key, tensor) in module.stateDictionary { #expect(tensor.doubles == before[key]?.doubles, "\(key)") }
        #expect(module.isTraining == modes)
        #expect(try trainer.findLearningRate(module, train: loader, range: 1e-4...1, steps: 21) == curve)
        let linear = try trainer.findLearningRate(module, train: loader, range: 1...2, steps: 3, sweep: .linear)
        #expect(linear.rates == [1, 1.5, 2])
        let short = try trainer.findLearningRate(module, train: loader, range: 1...1e6, steps: 50, stopsAt: 1.0001)
        #expect(short.rates.count < 50)
        // By hand: the steepest fall of this curve is from 5 to 1, around the third rate.
        let known = LearningRateCurve(rates: [1, 2, 3, 4, 5], losses: [6, 5, 3, 1, 2])
        #expect(known.suggestion(skippingFirst: 0, last: 0) == 3)
        #expect(known.suggestion(skippingFirst: 3, last: 0) == 4 && known.suggestion() == nil)
    }

    @Test func ranksFindTheSameLearningRate() throws {
        var found: [String] = []
        for ranks in [0, 2] {
            let test = try SelfTest.success("rate", ["global=4"], in: try ScratchDirectory(), ranks: ranks)
            found.append(try #require(test["suggestion"]))
            #expect(test["rates"] == "30")
        }
        #expect(found[0] == found[1] && found[0] != "none")
    }
}
