import Lightning
import TestSupport
import Testing

/// `Trainer(maxEpochs: …)`: the flags of a configuration as arguments.
struct FlagArgumentTests {
    /// The flags by name, as texts.
    private func flags(_ configuration: Trainer.Configuration) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: Mirror(reflecting: configuration).children.map { ($0.label ?? "", "\($0.value)") })
    }

    /// Each argument reaches the flag of its name: the trainers differ from the defaults in all flags.
    @Test func everyFlagIsAnArgument() throws {
        let directory = try ScratchDirectory().path
        let trainers = [
            try Trainer(
                maxEpochs: 5, minEpochs: 2, maxSteps: 70, minSteps: 20, maxSeconds: 90,
                limitTrainBatches: .batches(9), limitValidationBatches: .batches(8), limitTestBatches: .batches(7),
                limitPredictBatches: .fraction(0.5), useDistributedSampler: false, reloadDataLoadersEveryEpochs: 3,
                validateEveryEpochs: 4, validateEveryBatches: 6, sanityValidationBatches: 1, logEverySteps: 11,
                accumulateGradientBatches: 12, gradientClipNorm: 13, seed: 14, precision: .bfloat16Mixed,
                ranks: 1, allowsNonFiniteLoss: true, enableCheckpointing: false, enableProgressBar: false,
                enableModelSummary: false, defaultRootDir: directory, loggerKinds: [.csv, .tensorBoard]),
            try Trainer(validateEverySteps: 15, gradientClipValue: 16, threads: 2, barebones: true),
            try Trainer(fastDevRun: 17, detectAnomaly: true),
            try Trainer(validateEveryFraction: 0.25, profiler: .simple),
            try Trainer(overfitBatches: .batches(3), validateEverySeconds: 60),
        ].map { flags($0.configuration) }
        let defaults = flags(Trainer.Configuration())
        for (name, value) in defaults {
            #expect(trainers.contains { $0[name] != value }, "\(name)")
        }
        #expect(trainers[0]["maxSeconds"] == "Optional(90.0)" && trainers[0]["minSteps"] == "Optional(20)")
        #expect(trainers[1]["validateEverySteps"] == "Optional(15)" && trainers[1]["gradientClipNorm"] == "nil")
        #expect(flags(try Trainer().configuration) == defaults)
    }
}
