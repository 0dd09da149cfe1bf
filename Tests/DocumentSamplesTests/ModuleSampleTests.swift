import DocumentSamples
import ExampleModules
import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// The samples of the sections from "Inference in Production" on.
@Suite(.serialized) struct ModuleSampleTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func dense() -> Sequential {
        Sequential {
            Flatten()
            Linear(64, 32)
            ReLU()
            Linear(32, 10)
        }
    }

    private func convolutional() -> Sequential {
        Sequential {
            Conv2d(1, 8, kernel: 3, padding: 1)
            ReLU()
            MaxPool2d(2)
            Flatten()
            Linear(128, 10)
        }
    }

    // MARK: - Inference in production

    /// Models of different types, each through the same task.
    @Test func theTaskFitsAnyModel() throws {
        let (train, validation) = (try digits(0..<600), try digits(600..<700))
        let metrics = try seeded {
            try InferenceInProduction.fitEach(
                [dense(), convolutional(), Flat()],
                train: DataLoader(train, batchSize: 20), validation: DataLoader(validation, batchSize: 50), epochs: 3,
                in: scratch.path)
        }
        #expect(metrics.count == 3)
        for metric in metrics {
            #expect((metric["val_acc"] ?? 0) > 0.8 && (metric["val_loss"] ?? 9) < 1, "\(metric)")
        }
    }

    /// `for model in [resnet50(), vgg16(), BidirectionalRNN()]`: the networks as deep as the document's.
    ///
    /// On small images and on sequences: the task trains each, and reports what the network itself gives.
    @Test func theTaskFitsTheDocumentsModels() throws {
        let labels = Tensor((0..<12).map { Int64($0 % 3) })
        var stream = RandomStream(seed: 5, purpose: .user)
        let images = TensorDataset(inputs: stream.normals([12, 3, 32, 32]), labels: labels)
        let words = (0..<12 * 9).map { _ in Int64(stream.doubleWord() % 8) }
        let texts = TensorDataset(inputs: Tensor(words, shape: [12, 9]), labels: labels)
        let networks: [(TensorDataset, () -> any Layer)] = [
            (images, { ResNet(.resNet50, classes: 3) }),
            (images, { VGG(.vgg16, classes: 3, hidden: 32) }),
            (texts, { BidirectionalClassifier(vocabulary: 8, width: 8, size: 8, classes: 3) }),
        ]
        for (data, make) in networks {
            let (network, untrained) = (seeded { make() }, seeded { make() })
            let metrics = try seeded {
                try InferenceInProduction.fitEach(
                    [network], train: DataLoader(data, batchSize: 4), validation: DataLoader(data, batchSize: 12),
                    epochs: 2, learningRate: 1e-3, in: scratch.path)
            }
            let values = try #require(metrics.first)
            network.evaluate()
            let batch = data.batch(at: Array(0..<12))
            let logits = withoutGradient { network(batch.inputs) }
            let loss = crossEntropy(logits, batch.labels).item
            #expect(abs((values["val_loss"] ?? .nan) - loss) <= 1e-4 * abs(loss), "\(type(of: network)): \(values)")
            #expect(abs((values["val_acc"] ?? .nan) - accuracy(logits, batch.labels).item) < 1e-6)
            let pairs = zip(network.stateDictionary, untrained.stateDictionary)
            #expect(pairs.allSatisfy { $0.tensor.doubles != $1.tensor.doubles }, "\(type(of: network))")
        }
    }

    @Test func theModelIsUsedWithoutTheTask() throws {
        let loader = DataLoader(try digits(0..<200), batchSize: 20), x = try digits(200..<205).inputs
        let model = seeded { dense() }
        let path = try InferenceInProduction.trainForProduction(
            model, train: loader, validation: loader, in: scratch.path)
        let logits = try InferenceInProduction.infer(path, with: dense(), on: x)
        #expect(!logits.requiresGradient && logits.doubles == withoutGradient { model(x) }.doubles)
        #expect(bits(model) != bits(seeded { dense() }))
        // The model's own weights have its own names, without the task's.
        let task = InferenceInProduction.ClassificationTask(model)
        #expect(task.stateDictionary.map(\.key) == model.stateDictionary.map { "model." + $0.key })
    }

    /// Noise around a point: the generator learns where it is.
    @Test func theGANTaskTrainsAnyTwoModels() throws {
        var stream = RandomStream(seed: 1, purpose: .user)
        let points = stream.normals([256, 2], deviation: 0.2) + Tensor([2.0, -1].map(Float.init))
        let (generator, discriminator) = seeded { (Linear(4, 2), MLP()) }
        let task = InferenceInProduction.GANTask(generator, discriminator, latent: 4)
        let data = TensorDataset(inputs: points, labels: Tensor.range(256))
        let trainer = try fitSeeded(
            task, train: DataLoader(data, batchSize: 64), by: scratch.trainer { $0.maxEpochs = 60 })
        let centre = generator.bias?.value.doubles ?? []
        print("the generator's points are around \(centre)")
        #expect(hypot(centre[0] - 2, centre[1] + 1) < 0.6)
        #expect(trainer.lightningOptimizers.map(\.updateCount) == [240, 240])
    }

    // MARK: - Hyperparameters

    @Test func hyperparametersAreSavedAndRebuildTheModule() throws {
        typealias Net = SaveHyperparameters.LitMNIST
        var settings = Net.Hyperparameters()
        settings.layer1Dim = 24
        let module = Net(settings)
        let (path, file) = try SaveHyperparameters.save(
            module, DataLoader(try digits(0..<40), batchSize: 20), in: scratch.path)
        let loaded = try SaveHyperparameters.load(path)
        #expect(loaded.hyperparameters == settings && bits(loaded) == bits(module))
        let changed = try SaveHyperparameters.load(path, learningRate: 0.5)
        #expect(changed.hyperparameters.learningRate == 0.5 && changed.hyperparameters.layer1Dim == 24)
        // The logger's file says the same; a file of one's own replaces what it names.
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "layer1Dim: 24\nlearningRate: 0.01\n")
        #expect(try SaveHyperparameters.load(path, hyperparametersFile: file).hyperparameters == settings)
        try "learningRate: 0.25\n".write(toFile: file, atomically: true, encoding: .utf8)
        let filed = try SaveHyperparameters.load(path, hyperparametersFile: file)
        #expect(filed.hyperparameters.learningRate == 0.25 && bits(filed) == bits(module))
        try "layer1dim: 3\n".write(toFile: file, atomically: true, encoding: .utf8)
        let wrong = #expect(throws: ConfigurationError.self) {
            try SaveHyperparameters.load(path, hyperparametersFile: file)
        }
        #expect(wrong.map { "\($0)" }?.contains("layer1dim") == true)
    }

    @Test func excludedHyperparametersAreGivenAgain() throws {
        typealias Net = SaveHyperparameters.LitMNISTWithoutSome
        let generator = { Sequential { Linear(64, 128) } }
        let module = Net(lossFunction: { crossEntropy($0, $1) }, generatorNetwork: generator())
        let (path, file) = try SaveHyperparameters.save(
            module, DataLoader(try digits(0..<40), batchSize: 20), in: scratch.path)
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "layer1Dim: 128\n")
        let smoothed: Net.Loss = { crossEntropy($0, $1, labelSmoothing: 0.1) }
        let loaded = try SaveHyperparameters.load(path, lossFunction: smoothed, generatorNetwork: generator())
        #expect(bits(loaded) == bits(module) && loaded.hyperparameters == Net.Hyperparameters())
        let batch = try digits(0..<4).batch(at: [0, 1, 2, 3])
        #expect(loaded.trainingStep(batch, batchIndex: 0).item != module.trainingStep(batch, batchIndex: 0).item)
    }

    @Test func weightsWithoutHyperparametersNeedAFileOfThem() throws {
        typealias Net = SaveHyperparameters.LitMNIST
        let module = Net(.init()), path = scratch.file("weights.h5")
        var checkpoint = Checkpoint()
        checkpoint.model = module.stateDictionary
        try checkpoint.write(to: path)
        let error = #expect(throws: CheckpointError.self) { try SaveHyperparameters.load(path) }
        #expect(error?.description.hasPrefix("\(path) holds no hyperparameters; name a file of them") == true)
        let file = scratch.file("hparams.yaml")
        try "layer1Dim: 128\nlearningRate: 0.5\n".write(toFile: file, atomically: true, encoding: .utf8)
        let loaded = try SaveHyperparameters.load(path, hyperparametersFile: file)
        #expect(loaded.hyperparameters.learningRate == 0.5 && bits(loaded) == bits(module))
    }

    // MARK: - Child modules, methods and properties

    @Test func aChildModuleRepresentsImages() throws {
        let (train, validation) = (try digits(0..<400), try digits(400..<500))
        let module = seeded { ChildModules.LitAutoEncoder(.init()) }
        let loader = DataLoader(validation, batchSize: 50)
        let before = try #require(try scratch.trainer().validate(module, loader)["val_loss"])
        let (codes, trained) = try ChildModules.represent(
            validation.inputs[0..<32], module, train: DataLoader(train, batchSize: 10), validation: loader,
            in: scratch.path)
        #expect(codes.shape == [32, 8] && !codes.requiresGradient)
        #expect((trained.callbackMetrics["val_loss"] ?? 9) < before / 2)
        #expect(try scratch.trainer().test(module, loader)["test_loss"] == trained.callbackMetrics["val_loss"])
        #expect(module.stateDictionary.map(\.key).contains("autoEncoder.encoder.1.weight"))
    }

    @Test func methodsGatherPrintAndSchedule() throws {
        for ranks in 0...2 {
            let (texts, output) = try found(by: "methods", ranks: ranks)
            let shape = Shape([max(ranks, 1), 16 / max(ranks, 1)])
            #expect(texts == Array(repeating: "\(shape) [1.0, 0.5]", count: max(ranks, 1)))
            // Once for each of two epochs, whatever the number of ranks.
            let printed = output.split(separator: "\n").filter { $0.hasPrefix("gathered") }
            #expect(printed == ["gathered \(shape)", "gathered \(shape)"], "\(output)")
        }
    }

    @Test func propertiesAreThoseOfTheRank() throws {
        let first =
            ["prepared data"]
            + Array(repeating: ["first epoch", "global rank 0", "local rank 0"], count: 2).flatMap { $0 }
        let other = ["first epoch", "first epoch"]
        #expect(try found(by: "properties", ranks: 0).ranks == ["\(first) 1"])
        #expect(try found(by: "properties", ranks: 2).ranks == ["\(first) 1", "\(other) 0"])
    }

    @Test func propertiesReachLoggersAndTrainer() throws {
        let module = Properties(.init(learningRate: 0.25))
        var configuration = Trainer.Configuration()
        (configuration.maxSteps, configuration.precision) = (3, .bfloat16True)
        (configuration.loggers, configuration.defaultRootDir) = ([.tensorBoard, .csv], scratch.path)
        let trainer = try Trainer(configuration: configuration)
        try trainer.fit(module, train: DataLoader(try digits(0..<12), batchSize: 4))
        #expect(module.maxSteps == 3 && module.done.filter { $0 == "bfloat16" }.count == 3)
        #expect(module.noise?.shape == [2, 3] && module.optimizers()[0].optimizer.groups[0].learningRate == 0.25)
        let directory = try trainer.runDirectory()
        let csv = try String(contentsOfFile: directory + "/metrics.csv", encoding: .utf8)
        #expect(csv.split(separator: "\n").filter { $0.contains(",foo,1.0") }.count == 3)
        let files = try FileManager.default.contentsOfDirectory(atPath: directory)
        let events = try #require(files.first { $0.contains("tfevents") })
        let bytes = try Data(contentsOf: URL(fileURLWithPath: directory + "/" + events))
        for name in ["digit", "generic", "foo", "text", "step 2"] {
            #expect(bytes.firstRange(of: Data(name.utf8)) != nil, "\(name)")
        }
    }

    // MARK: - Manual optimization

    /// With one optimizer by hand the weights are those of automatic optimization.
    @Test func oneOptimizerByHandIsTheTrainersWork() throws {
        let loader = DataLoader(try digits(0..<100), batchSize: 20)
        let byHand = seeded { AutomaticOptimization.OneOptimizer() }
        try scratch.trainer { $0.maxEpochs = 2 }.fit(byHand, train: loader)
        #expect(!byHand.automaticOptimization)
        final class Automatic: LightningModule, TrainingModule {
            let layer = Linear(64, 10)
            func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
                crossEntropy(layer(batch.inputs.flattened()), batch.labels)
            }
            func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
        }
        let automatic = seeded { Automatic() }
        try scratch.trainer { $0.maxEpochs = 2 }.fit(automatic, train: loader)
        #expect(bits(byHand) == bits(automatic) && automatic.automaticOptimization)
    }

    @Test func twoOptimizersAreThePseudocode() throws {
        let loader = DataLoader(try digits(0..<100), batchSize: 20)
        let trained = seeded { AutomaticOptimization.TwoOptimizers() }
        let trainer = try fitSeeded(trained, train: loader, by: scratch.trainer { $0.maxEpochs = 2 })
        let plain = seeded { AutomaticOptimization.TwoOptimizers() }
        try seeded { try AutomaticOptimization.byHand(plain, loader, epochs: 2) }
        #expect(bits(trained) == bits(plain))
        #expect(trainer.globalStep == 20 && trainer.lightningOptimizers.map(\.updateCount) == [10, 10])
    }

    @Test func imagesComeFromTheExampleInputs() throws {
        let module = seeded { ExampleInputArray() }
        try scratch.trainer { $0.maxEpochs = 3 }.fit(module, train: DataLoader(try digits(0..<40), batchSize: 20))
        #expect(module.generatedImages.map(\.shape) == [[4, 64], [4, 64], [4, 64]])
        #expect(module.generatedImages[0].doubles != module.generatedImages[2].doubles)
        #expect(module.generatedImages.allSatisfy { !$0.requiresGradient })
    }

    // MARK: - Hooks

    /// The document's pseudocode, run, names the hooks that a module's fit calls.
    @Test func hooksAreThoseOfThePseudocode() throws {
        let hooks = HookLog()
        let run = try scratch.trainer { ($0.maxEpochs, $0.sanityValidationBatches) = (2, 0) }
        let loader = { DataLoader(NumberedDataset(count: $0), batchSize: 2) }
        try run.fit(RecordingModule(hooks), train: loader(6), validation: loader(4))
        var pseudocode = HooksPseudocode(epochs: 2, trainBatches: 3, validationBatches: 2)
        pseudocode.fit()
        // What the module notes of the step's output at the end of a validation batch is left out.
        let called = hooks.calls.map { call in
            call.hasPrefix("onValidationBatchEnd") ? call.split(separator: " ")[0...1].joined(separator: " ") : call
        }
        // Checkpoints are saved by a callback, which the pseudocode does not speak of.
        #expect(called.filter { $0 != "onSaveCheckpoint" } == pseudocode.calls)
    }
}

/// A model of another type than the others.
private final class Flat: Module, Layer {
    private let layer = Linear(64, 10)
    func callAsFunction(_ input: Tensor) -> Tensor { layer(input.flattened()) }
}

/// A discriminator of points.
private final class MLP: Module, Layer {
    private let layers = Sequential {
        Linear(2, 16)
        ReLU()
        Linear(16, 1)
    }
    func callAsFunction(_ input: Tensor) -> Tensor { layers(input) }
}
