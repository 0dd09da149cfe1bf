import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// The search for a batch size, by a clock of the test's own.
@Suite(.serialized) struct BatchSizeTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// Searches where a step takes a second and a tenth more for each sample.
    private func find(
        _ module: ToyModule, samples: Int = 4096, sizes: ClosedRange<Int> = 2...8192, gain: Double = 0.05,
        memory: Double = .infinity
    ) throws -> BatchSizeCurve {
        let trainer = try ToyRun(directory: scratch.path).makeTrainer()
        var time = 0.0
        trainer.clock = { time }
        module.inTraining = { _, batch, _ in time += 1 + 0.1 * Double(batch.sampleCount) }
        return try trainer.findBatchSize(module, sizes: sizes, gain: gain, memory: memory) { size in
            DataLoader(NumberedDataset(count: samples), batchSize: .perRank(size), dropsLast: true)
        }
    }

    private func makeModule() throws -> ToyModule { try ToyModule(ToyModule.Hyperparameters()) }

    /// n samples take 1 + n / 10 seconds: 128 are 9.275 a second, 6.9 % more than 64; 256 are 9.624, 3.8 % more.
    @Test func theSearchEndsWhereLargerBatchesGainLittle() throws {
        let curve = try find(makeModule())
        #expect(curve.sizes == [2, 4, 8, 16, 32, 64, 128, 256] && curve.suggestion == 128 && curve.end == .gain)
        for (size, speed) in zip(curve.sizes, curve.samplesPerSecond) {
            let count = Double(size)
            #expect(abs(speed - count / (1 + 0.1 * count)) < 1e-9, "\(size)")
        }
        #expect(curve.residentBytes.allSatisfy { $0 > 1e6 })
        #expect(try find(makeModule(), gain: 0.5).suggestion == 8)
    }

    @Test func dataAndLimitsEndIt() throws {
        let few = try find(makeModule(), samples: 11)
        #expect(few.sizes == [2, 4, 8] && few.suggestion == 8 && few.end == .size)
        let bounded = try find(makeModule(), sizes: 3...12)
        #expect(bounded.sizes == [3, 6, 12] && bounded.suggestion == 12 && bounded.end == .size)
        let full = try find(makeModule(), memory: 1)
        #expect(full.sizes == [2] && full.suggestion == 2 && full.end == .memory)
        let error = #expect(throws: TrainingError.self) { try find(makeModule(), samples: 1) }
        #expect(
            error?.description
                == "findBatchSize: there are fewer samples than one batch of 2 takes; begin with a smaller size")
    }

    /// Weights, modes, gradients and random numbers are as before.
    @Test func theModuleIsLeftAsItWas() throws {
        let module = try makeModule()
        module.evaluate()
        let before = module.stateDictionary
        let draws = try RandomContext.$current.withValue(RandomContext(seed: 7)) {
            _ = try find(module)
            return Initializer.normal(deviation: 1)([4], dtype: .float64).doubles
        }
        for (key, tensor) in module.stateDictionary { #expect(tensor.doubles == before[key]?.doubles, "\(key)") }
        #expect(!module.isTraining && module.parameters.allSatisfy { $0.gradient == nil })
        let wanted = RandomContext.$current.withValue(RandomContext(seed: 7)) {
            Initializer.normal(deviation: 1)([4], dtype: .float64).doubles
        }
        #expect(draws == wanted)
    }

    /// Rank 0's clock decides for all.
    @Test func ranksFindTheSameSize() throws {
        let test = try SelfTest.success("sizes", ["samples=4096"], in: scratch, ranks: 2)
        let wanted = "128 gain [2, 4, 8, 16, 32, 64, 128, 256]"
        #expect(test["sizes"] == wanted + " | " + wanted)
    }
}
