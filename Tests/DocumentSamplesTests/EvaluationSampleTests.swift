import DocumentSamples
import ExampleModules
import Foundation
import Lightning
import TestSupport
import Testing

/// The samples of the sections from "Validation" to "Inference in Research".
@Suite(.serialized) struct EvaluationSampleTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// Two validations inside an epoch: the same losses, and the same weights after them.
    @Test func theValidationLoopIsThePseudocode() throws {
        let (train, validation) = (DataLoader(try words(), batchSize: 6), DataLoader(try words(10), batchSize: 4))
        let losses = LossesOfValidations()
        var configuration = Trainer.Configuration()
        (configuration.maxEpochs, configuration.seed, configuration.validateEveryBatches) = (1, 11, 2)
        (configuration.sanityValidationBatches, configuration.defaultRootDir) = (0, scratch.path)
        let trained = seeded { ValidationLoopSample.LightningTransformer(vocabularySize: rhymeVocabulary) }
        try seeded {
            try Trainer(configuration: configuration, callbacks: [losses])
                .fit(trained, train: train, validation: validation)
        }
        let plain = seeded { ValidationLoopSample.LightningTransformer(vocabularySize: rhymeVocabulary) }
        let wanted = try seeded {
            try ValidationLoopSample.pseudocode(plain, train, validation) { ($0 + 1) % 2 == 0 }
        }
        #expect(losses.values == wanted && wanted.count == 2 && wanted[0] > wanted[1])
        #expect(bits(trained) == bits(plain) && trained.isTraining)
    }

    @Test func validationAlone() throws {
        let loader = DataLoader(try words(10), batchSize: 4)
        let found = try seeded {
            try ValidationLoopSample.validate(loader, vocabularySize: rhymeVocabulary, in: scratch.path)
        }
        let module = seeded { ValidationLoopSample.LightningTransformer(vocabularySize: rhymeVocabulary) }
        module.evaluate()
        let wanted = try withoutGradient {
            try module.validationStep(words(10).batch(at: Array(0..<10)), batchIndex: 0)
        }
        #expect(found.keys.sorted() == ["val_loss"])
        #expect(abs((found["val_loss"] ?? 0) - wanted.item) < 1e-6)
    }

    @Test func outputsOfAValidationArePutTogetherBeforeTheEpochEnds() throws {
        let module = ValidationEpochLevelMetrics.LightningTransformer(vocabularySize: rhymeVocabulary)
        try scratch.trainer {
            ($0.maxEpochs, $0.sanityValidationBatches) = (2, 0)
        }.fit(
            module, train: DataLoader(try words(6), batchSize: 6), validation: DataLoader(try words(10), batchSize: 4))
        #expect(module.ends == ["validation", "training", "validation", "training"])
        #expect(module.validationStepOutputs.isEmpty && module.allPredictions.map(\.shape) == [[10, 5], [10, 5]])
    }

    @Test func bothWaysToTestGiveTheSame() throws {
        let (train, test) = (DataLoader(try words(), batchSize: 6), DataLoader(try words(10), batchSize: 4))
        let model = seeded { TestLoopSample.LightningTransformer(.init(vocabularySize: rhymeVocabulary)) }
        let (after, path) = try TestLoopSample.testAfterTraining(model, train: train, test: test, in: scratch.path)
        let pretrained = try TestLoopSample.testPretrained(path, test: test, in: scratch.file("other"))
        #expect(after.keys.sorted() == ["test_loss"] && after == pretrained)
        // By hand, with the weights that the training left.
        model.evaluate()
        let loss = try withoutGradient {
            try model.trainingStep(words(10).batch(at: Array(0..<10)), batchIndex: 0).item
        }
        #expect(abs((after["test_loss"] ?? 0) - loss) < 1e-6)
    }

    @Test func bothWaysToPredictGiveThePseudocodesRows() throws {
        typealias Module = PredictionLoopSample.LightningTransformer
        let (train, predict) = (DataLoader(try words(), batchSize: 6), DataLoader(try words(10), batchSize: 4))
        let model = seeded { Module(.init(vocabularySize: rhymeVocabulary)) }
        let (after, path) = try PredictionLoopSample.predictAfterTraining(
            model, train: train, predict: predict, in: scratch.path)
        let pretrained = try PredictionLoopSample.predictPretrained(
            path, predict: predict, in: scratch.file("other"))
        let byHand = try PredictionLoopSample.pseudocode(model, predict)
        #expect(byHand.map { $0.shape[0] } == [4, 4, 2])
        let wanted = Tensor.concatenate(byHand)
        #expect(wanted.shape == [10, 5, rhymeVocabulary])
        #expect(after?.doubles == wanted.doubles && pretrained?.doubles == wanted.doubles)
    }

    @Test func forwardInfersOneSample() throws {
        let model = seeded { StarterExample.LightningTransformer(vocabularySize: rhymeVocabulary) }
        let data = try words()
        let first = try InferenceInResearch.infer(model, data), again = try InferenceInResearch.infer(model, data)
        // Neither dropout nor gradients.
        #expect(first.shape == [5, rhymeVocabulary] && !first.requiresGradient && first.doubles == again.doubles)
        let sums = first.exp().sum(along: 1).doubles
        #expect(sums.allSatisfy { abs($0 - 1) < 1e-5 })
    }

    /// Learns to write a sequence backwards, and does it with sequences it has not seen.
    @Test func aSequenceIsGeneratedFromASequence() throws {
        var stream = RandomStream(seed: 5, purpose: .user)
        let questions = Tensor(stream.uniforms(2_000 * 4).map { Int64($0 * 6) }, shape: [2_000, 4])
        let backwards = questions.transposed().rows(at: Tensor([Int64]([3, 2, 1, 0]))).transposed().contiguous()
        let module = seeded { InferenceInResearch.Seq2Seq(vocabularySize: 6) }
        let data = TensorDataset(inputs: questions[0..<1_900], labels: backwards[0..<1_900])
        try seeded { try scratch.trainer { $0.maxEpochs = 40 }.fit(module, train: DataLoader(data, batchSize: 50)) }
        module.evaluate()
        let answers = withoutGradient { module(questions[1_900..<2_000]) }
        #expect(answers.shape == [100, 4])
        let right = (answers .== backwards[1_900..<2_000]).converted(to: .float32).mean(along: 1).doubles
        let share = Double(right.filter { $0 == 1 }.count) / 100
        print("\(share) of the unseen sequences are written backwards without a mistake")
        #expect(share > 0.9)
    }

    /// The same rows on one rank and on two, in the order of the codes.
    @Test func predictionIsScaled() throws {
        var rows: [[String]] = []
        for ranks in [0, 2, 3] { rows.append(try found(by: "autoencoder", ranks: ranks).ranks) }
        #expect(rows.allSatisfy { $0.allSatisfy { $0 == rows[0][0] } })
        let model = seeded(3) { InferenceInResearch.Autoencoder(pixels: 6, code: 3) }
        let codes = InferenceInResearch.Codes(count: 11, size: 3).codes()
        let wanted = withoutGradient { model(codes) }.doubles
        let numbers = rows[0][0].dropFirst().dropLast().split(separator: ",").compactMap {
            Double($0.drop { $0 == " " })
        }
        #expect(numbers.count == 11 * 6 && zip(numbers, wanted).allSatisfy { abs($0 - $1) < 1e-6 })
    }
}

/// Notes `val_loss` after each validation.
private final class LossesOfValidations: Callback {
    private(set) var values: [Double] = []
    override func onValidationEnd(_ trainer: Trainer, _ module: LightningModule) {
        values.append(trainer.callbackMetrics["val_loss"] ?? .nan)
    }
}
