import DocumentSamples
import ExampleModules
import Foundation
import Lightning
import TestSupport
import Testing

/// The samples of the sections from "LightningModule" to "Train Epoch-level Operations".
@Suite(.serialized) struct TrainingSampleTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// A module with the weights that the seed gives.
    private func make<M>(_ module: () -> M) -> M { seeded { module() } }

    @Test func aModuleIsFittedLoadedAndUsed() throws {
        typealias Net = LightningModuleSamples.Net
        let data = try digits(0..<60).map { LabeledBatch(inputs: $0.inputs.flattened(), labels: $0.labels) }
        let net = make { Net(.init(inputs: 64, outputs: 10)) }
        let x = try data.batch(at: [0, 1, 2]).inputs
        let before = bits(net)
        let trainer = try LightningModuleSamples.fit(net, LightningModuleSamples.loader(data), in: scratch.path)
        #expect(trainer.globalStep == 60 && bits(net) != before)
        let out = try LightningModuleSamples.use(try trainer.checkpointPath("best"), on: x)
        #expect(out.doubles == withoutGradient { net(x) }.doubles && !out.requiresGradient)
    }

    /// What a step makes anew has the precision of the run, without a word about it.
    @Test func newTensorsAreWhereTheyBelong() throws {
        typealias Net = LightningModuleSamples.Net
        let data = try digits(0..<4).map { LabeledBatch(inputs: $0.inputs.flattened(), labels: $0.labels) }
        for precision in [Precision.float32, .float64True] {
            let net = Net(.init(inputs: 64, outputs: 10))
            try scratch.trainer { $0.precision = precision }.fit(net, train: LightningModuleSamples.loader(data))
            #expect(net.types == [precision == .float32 ? .float32 : .float64])
        }
    }

    @Test func eachSampleIsGivenToOneRank() throws {
        for ranks in 0...3 {
            let seen = try found(by: "sampler", ranks: ranks).ranks
            let lists = seen.map {
                $0.dropFirst().dropLast().split(separator: ",").compactMap { Int($0.drop { $0 == " " }) }
            }
            #expect(lists.flatMap { $0 }.sorted() == Array(0..<11), "\(ranks) ranks: \(seen)")
            #expect(lists.allSatisfy { !$0.isEmpty }, "\(ranks) ranks: \(seen)")
        }
    }

    /// The document's 100 steps are few: torch's demo has learnt nothing after them either, and has after 400.
    @Test func theStarterExampleTrains() throws {
        let dataset = try WikiText2(text: String(repeating: rhyme, count: 4), blockSize: 5)
        #expect(dataset.vocabularySize == rhymeVocabulary && dataset.count >= 400)
        let (model, trainer) = try seeded { try StarterExample.train(on: dataset, steps: 400) }
        #expect(trainer.globalStep == 400 && trainer.loggers.isEmpty && trainer.checkpointCallback == nil)
        let fresh = seeded { StarterExample.LightningTransformer(vocabularySize: rhymeVocabulary) }
        let loss = { (model: StarterExample.LightningTransformer) in
            model.evaluate()
            return withoutGradient { model.trainingStep(dataset.batch(at: Array(0..<24)), batchIndex: 0).item }
        }
        let (before, after) = (loss(fresh), loss(model))
        print("the starter example's loss fell from \(before) to \(after)")
        #expect(before > 2 && after < before / 2)
    }

    /// The default corpus, with the network as large as the document's.
    @Test func theStarterExampleTrainsOnTheBible() throws {
        let dataset = try WikiText2()
        #expect(dataset.vocabularySize > 13_000 && dataset.count > 26_000)
        let model = StarterExample.LightningTransformer(vocabularySize: dataset.vocabularySize)
        #expect(model.parameters.reduce(0) { $0 + $1.shape.elementCount } > 5_000_000)
        try scratch.trainer { $0.fastDevRun = 3 }.fit(model, train: DataLoader(dataset, batchSize: 1))
        let prediction = try InferenceInResearch.infer(model, dataset)
        #expect(prediction.shape == [35, dataset.vocabularySize] && prediction.isFinite)
    }

    @Test func theTrainingLoopIsThePseudocode() throws {
        let loader = DataLoader(try words(), batchSize: 5)
        let trained = make { TrainingLoopSample.LightningTransformer(vocabularySize: rhymeVocabulary) }
        try seeded { try scratch.trainer { $0.maxEpochs = 3 }.fit(trained, train: loader) }
        let plain = make { TrainingLoopSample.LightningTransformer(vocabularySize: rhymeVocabulary) }
        let before = bits(plain)
        try seeded { for epoch in 0..<3 { try TrainingLoopSample.pseudocode(plain, loader, epoch: epoch) } }
        #expect(bits(trained) == bits(plain) && bits(plain) != before)
    }

    @Test func epochMetricsAreThePseudocodesMean() throws {
        let loader = DataLoader(try words(), batchSize: 6)
        let logged = make { TrainEpochLevelMetrics.LightningTransformer(vocabularySize: rhymeVocabulary) }
        let trainer = try fitSeeded(logged, train: loader, by: scratch.trainer { $0.logEverySteps = 1 })
        let plain = make { TrainingLoopSample.LightningTransformer(vocabularySize: rhymeVocabulary) }
        let mean = try seeded { try TrainEpochLevelMetrics.pseudocode(plain, loader) }
        let found = try #require(trainer.callbackMetrics["train_loss_epoch"])
        #expect(abs(found - mean) < 1e-6 * mean && bits(logged) == bits(plain))
        // Each step, then the epoch, in the logger; the newest value on the progress bar.
        let csv = try String(contentsOfFile: trainer.runDirectory() + "/metrics.csv", encoding: .utf8)
        let names = csv.split(separator: "\n").dropFirst().map { $0.split(separator: ",")[5] }
        #expect(names == [Substring](repeating: "train_loss_step", count: 4) + ["train_loss_epoch"])
        #expect(trainer.progressBarMetrics.contains { $0.name.hasPrefix("train_loss") })
    }

    @Test func outputsOfAnEpochArePutTogetherAndCleared() throws {
        let module = make { TrainEpochLevelOperations.LightningTransformer(vocabularySize: rhymeVocabulary) }
        let data = try words()
        try scratch.trainer { $0.maxEpochs = 2 }.fit(module, train: DataLoader(data, batchSize: 7))
        #expect(module.trainingStepOutputs.isEmpty)
        let all = try #require(module.allPredictions)
        #expect(all.shape == [24, 5] && all.dtype == .int64)
        #expect(all.doubles.allSatisfy { $0 >= 0 && Int($0) < rhymeVocabulary })
    }
}
