import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// Where the time of a run went: what is counted is known, and times lie within each other.
struct ProfilerTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// 24 samples in batches of 4, two epochs, three batches of validation after each and two before.
    private func run(_ kind: ProfilerKind) -> ToyRun {
        var run = ToyRun(directory: scratch.path)
        run.trainer.profiler = kind
        run.callbacks = [EarlyStopping(monitor: "val_loss", patience: 9)]
        return run
    }

    @Test func theTableCountsEveryPart() throws {
        try run(.simple).fit { module, _ in
            module.inTraining = { module, _, _ in module.profile("my own") { _ = module.parameters } }
        }
        let profile = try Profile(scratch.file("version_0/profile-fit.json"))
        #expect(profile.ranks == 1 && profile.stage == "fit")
        for (name, calls) in [
            ("runTrainingEpoch", 2), ("runTrainingBatch", 12), ("transferBatchToDevice", 12 + 2 * 3 + 2),
            ("trainingStep", 12), ("backward", 12), ("optimizerStep", 12), ("runEvaluation", 3), ("my own", 12),
            ("evaluationStep", 2 * 3 + 2), ("nextTrainingBatch", 12), ("nextEvaluationBatch", 2 * (3 + 1) + 3),
            ("[LightningModule]ToyModule.onTrainStart", 1), ("[LightningModule]ToyModule.onTrainBatchStart", 12),
            ("[LightningModule]ToyModule.optimizerZeroGrad", 12), ("[LightningModule]ToyModule.configureOptimizers", 1),
            ("[Callback]EarlyStopping.onTrainBatchEnd", 12), ("[Callback]EarlyStopping.onMetricsReady", 12 + 2),
            ("[Callback]EarlyStopping.setup", 1), ("[LightningModule]ToyModule.teardown", 1),
        ] {
            #expect(profile.rows[name]?.calls == calls, "\(name): \(profile.rows[name]?.calls ?? 0)")
        }
        #expect(profile.rows["saveCheckpoint"] == nil && profile.rows["waitForCollectives"] == nil)
        func seconds(_ name: String) throws -> Double { try #require(profile.rows[name]).seconds }
        let chain = [
            profile.seconds, try seconds("runTrainingEpoch"), try seconds("runTrainingBatch"),
            try seconds("trainingStep"), try seconds("my own"), 0,
        ]
        #expect(zip(chain, chain.dropFirst()).allSatisfy { $0 > $1 }, "\(chain)")
        for row in profile.rows.values { #expect([row.least, row.mean, row.most].allSatisfy { $0 == row.seconds }) }
    }

    @Test func theTableIsForPeople() throws {
        try run(.simple).fit()
        let lines = try String(contentsOfFile: scratch.file("version_0/profile-fit.txt"), encoding: .utf8)
            .split(separator: "\n")
        #expect(lines[0].hasPrefix("Profile of fit, 0.") && lines[0].hasSuffix(" s"))
        #expect(
            lines[2].split(separator: "│").map { $0.trimmingCharacters(in: .whitespaces) }
                == ["action", "calls", "total s", "mean ms", "share %"])
        let widths = Set(lines[2...].filter { !$0.contains(" more") && $0.contains("│") }.map(\.count))
        #expect(widths.count == 1, "columns are as wide in each line")
        let cells = try #require(lines.first { $0.hasPrefix("trainingStep ") }).split(separator: "│")
        #expect(cells[1].trimmingCharacters(in: .whitespaces) == "12")
    }

    /// Each stage has its own table, of that stage alone.
    @Test func stagesAreApart() throws {
        let run = run(.simple)
        let (trainer, module) = try run.fit()
        try trainer.test(module, run.loader(run.heldOut))
        _ = try trainer.predict(module, run.loader(run.heldOut))
        let test = try Profile(scratch.file("version_0/profile-test.json"))
        #expect(test.rows["evaluationStep"]?.calls == 3 && test.rows["trainingStep"] == nil)
        #expect(test.rows["[LightningModule]ToyModule.onTestBatchEnd"]?.calls == 3)
        let prediction = try Profile(scratch.file("version_0/profile-predict.json"))
        #expect(prediction.rows["[LightningModule]ToyModule.onPredictStart"]?.calls == 1)
        #expect(prediction.rows["[LightningModule]ToyModule.onTestBatchEnd"] == nil)
    }

    @Test func aRunThatFailsHasATableToo() throws {
        let failing = OnPurpose("in the middle")
        #expect(throws: OnPurpose.self) {
            try run(.simple).fit { module, _ in
                module.inTraining = { module, _, index in if module.currentEpoch == 1, index == 2 { throw failing } }
            }
        }
        let profile = try Profile(scratch.file("version_0/profile-fit.json"))
        // What threw took its time as well.
        #expect(profile.rows["trainingStep"]?.calls == 9 && profile.rows["backward"]?.calls == 8)
        #expect(profile.rows["[Callback]EarlyStopping.setup"]?.calls == 1)
    }

    /// Without a profiler nothing is written, and what is to be timed is done all the same.
    @Test func withoutAProfiler() throws {
        var run = run(.simple)
        run.trainer.profiler = nil
        var done = 0
        let (trainer, module) = try run.fit { module, _ in
            module.inTraining = { module, _, _ in done += module.profile("mine") { 1 } }
        }
        #expect(done == 12 && trainer.profile("mine") { 3 } == 3)
        let files = try FileManager.default.contentsOfDirectory(atPath: scratch.file("version_0"))
        #expect(!files.contains { $0.hasPrefix("profile") || $0.hasPrefix("trace") })
        #expect(throws: OnPurpose.self) { try module.profile("mine") { throw OnPurpose("passed on") } }
    }

    @Test func barebonesHasNone() {
        var configuration = Trainer.Configuration()
        (configuration.barebones, configuration.profiler) = (true, .simple)
        let error = #expect(throws: TrainingError.self) { try Trainer(configuration: configuration) }
        #expect(error?.description == "trainer: barebones leaves out the profiler; remove one of the two")
    }
}

/// What a file of a profiler says.
struct Profile {
    struct Row: Decodable {
        var name: String
        var calls: Int
        var seconds: Double
        var least: Double
        var mean: Double
        var most: Double
    }

    private struct File: Decodable {
        var stage: String
        var seconds: Double
        var ranks: Int
        var rows: [Row]
    }

    let stage: String
    let seconds: Double
    let ranks: Int
    let rows: [String: Row]

    init(_ path: String) throws {
        let file = try JSONDecoder().decode(File.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
        (stage, seconds, ranks) = (file.stage, file.seconds, file.ranks)
        rows = Dictionary(uniqueKeysWithValues: file.rows.map { ($0.name, $0) })
    }
}
