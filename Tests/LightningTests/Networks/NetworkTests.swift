import ExampleModules
import Lightning
import TestSupport
import Testing

/// The example networks against torchvision, PyTorch and Lightning's demos, with the same weights: logits, loss, gradients
/// and running moments, from the numbers that `Tests/Scripts/make_network_golden.py` makes.
@Suite(.serialized) struct NetworkTests {
    /// A network, and its logits and loss for the inputs of the golden numbers.
    private struct Case: Sendable {
        let make: @Sendable () -> (network: Module, run: (DType) -> (logits: Tensor, loss: Tensor))

        init(images: String, _ shape: Shape, labels: [Int64], _ make: @escaping @Sendable () -> any Layer) {
            self.make = {
                let network = make()
                return (
                    network,
                    { type in
                        let logits = network(KeyedNumbers.values(images, shape).converted(to: type))
                        return (logits, crossEntropy(logits, Tensor(labels)))
                    }
                )
            }
        }

        init(_ make: @escaping @Sendable () -> (Module, (Tensor) -> (logits: Tensor, loss: Tensor))) {
            self.make = {
                let (network, apply) = make()
                let tokens = Tensor(KeyedNumbers.words("tokens", 45).map { Int64($0 % 50) }, shape: [5, 9])
                return (network, { _ in apply(tokens) })
            }
        }

        static func residual(_ depth: ResNet.Depth) -> Case {
            Case(images: "images", [4, 3, 48, 48], labels: [3, 1, 4, 1]) { ResNet(depth, classes: 10) }
        }

        static func vgg(_ depth: VGG.Depth, normalized: Bool = false) -> Case {
            Case(images: "small", [2, 3, 32, 48], labels: [5, 9]) {
                VGG(depth, normalized: normalized, classes: 10, hidden: 24, dropout: 0)
            }
        }

        static func bidirectional(
            _ cell: BidirectionalClassifier.Cell, layers: Int = 1, lengths: [Int]? = nil
        ) -> Case {
            Case {
                let network = BidirectionalClassifier(
                    vocabulary: 50, width: 12, size: 16, classes: 7, cell: cell, layers: layers)
                return (
                    network,
                    {
                        let logits = network($0, lengths: lengths)
                        return (logits, crossEntropy(logits, Tensor([Int64(0), 6, 2, 2, 5])))
                    }
                )
            }
        }
    }

    private static let cases: [String: Case] = [
        "resnet18": .residual(.resNet18),
        "resnet34": .residual(.resNet34),
        "resnet50": .residual(.resNet50),
        "vgg11": .vgg(.vgg11),
        "vgg11_bn": .vgg(.vgg11, normalized: true),
        "vgg16": .vgg(.vgg16),
        "vgg16_bn": .vgg(.vgg16, normalized: true),
        "bidirectional.lstm": .bidirectional(.lstm, layers: 2),
        "bidirectional.gru": .bidirectional(.gru),
        "bidirectional.lengths": .bidirectional(.lstm, lengths: [9, 2, 5, 1, 7]),
        "wordTransformer": Case {
            let network = WordTransformer(vocabulary: 50, width: 16, heads: 2, hidden: 24, layers: 2, dropout: 0)
            return (
                network,
                { tokens in
                    let last = tokens.slice(8..<9, along: 1), rest = tokens.slice(0..<8, along: 1)
                    let target = Tensor.concatenate([last, rest], along: 1)
                    let logits = network(tokens, target)
                    return (logits, negativeLogLikelihood(logits, target.reshaped(to: [-1])))
                }
            )
        },
    ]

    @Test func everyNetworkIsTested() throws {
        #expect(try Set(GoldenNetwork.all.get().keys) == Set(Self.cases.keys))
    }

    @Test(arguments: cases.keys.sorted()) func agreesInDoublePrecision(name: String) throws {
        // The demo makes its positions in single precision.
        try check(name, .float64, tolerance: name == "wordTransformer" ? 1e-6 : 1e-9)
    }

    /// As near as single precision is.
    ///
    /// Where a rectifier's input is near 0 its gradient may be there or not, and batch norm over few samples makes more
    /// of it: PyTorch's own gradients of `resnet50` in `float32` differ from its `float64` ones by 2e-2 of their norm, its
    /// logits by 5e-5 of the largest.
    @Test(arguments: ["resnet50", "vgg16", "bidirectional.lstm"]) func agreesInSinglePrecision(name: String) throws {
        let isDeep = name == "resnet50"
        try check(name, .float32, tolerance: isDeep ? 5e-4 : 1e-4, gradients: isDeep ? 5e-2 : 1e-4)
    }

    /// The task trains like PyTorch: losses of three steps of gradient descent with momentum.
    @Test(arguments: [("resnet50", 5e-4), ("vgg16", 2e-5), ("bidirectional.lstm", 0.02)])
    func tasksTrainLikePyTorch(name: String, learningRate: Double) throws {
        let golden = try #require(try GoldenNetwork.all.get()[name])
        let network = try #require(Self.cases[name]).make().network
        network.convert(to: .float64)
        KeyedNumbers.fill(network)
        let data =
            switch name {
            case "resnet50":
                TensorDataset(
                    inputs: KeyedNumbers.values("images", [4, 3, 48, 48]), labels: Tensor([Int64(3), 1, 4, 1]))
            case "vgg16":
                TensorDataset(inputs: KeyedNumbers.values("small", [2, 3, 32, 48]), labels: Tensor([Int64(5), 9]))
            default:
                TensorDataset(
                    inputs: Tensor(KeyedNumbers.words("tokens", 45).map { Int64($0 % 50) }, shape: [5, 9]),
                    labels: Tensor([Int64(0), 6, 2, 2, 5]))
            }
        let scratch = try ScratchDirectory()
        var configuration = Trainer.Configuration()
        configuration.maxEpochs = 3
        configuration.precision = .float64True
        (configuration.enableProgressBar, configuration.enableModelSummary) = (false, false)
        configuration.enableCheckpointing = false
        configuration.defaultRootDir = scratch.path
        let losses = Losses()
        let trainer = try Trainer(configuration: configuration, callbacks: [losses])
        let task = NetworkClassifier(try #require(network as? any Layer), learningRate: learningRate)
        try trainer.fit(task, train: DataLoader(data, batchSize: .global(data.count), shuffles: false))
        expectClose(losses.values, golden.losses, relative: 1e-8, "\(name), losses")
        let logits = try trainer.predict(task, DataLoader(data, batchSize: .global(data.count)))
        #expect(logits?.shape[0] == data.count)
    }

    /// The loss of each batch.
    private final class Losses: Callback {
        var values: [Double] = []

        override func onTrainBatchEnd(
            _ trainer: Trainer, _ module: LightningModule, _ loss: Tensor?, batch: any DataBatch, batchIndex: Int
        ) throws {
            if let loss { values.append(loss.item) }
        }
    }

    private func check(_ name: String, _ type: DType, tolerance: Double, gradients: Double? = nil) throws {
        let golden = try #require(try GoldenNetwork.all.get()[name])
        let (network, run) = try #require(Self.cases[name]).make()
        network.convert(to: type)
        KeyedNumbers.fill(network)
        let (logits, loss) = run(type)
        loss.backward()
        let largest = golden.logits.reduce(0) { max($0, abs($1)) }
        expectClose(
            Array(logits.doubles.prefix(40)), golden.logits, relative: 0, absolute: tolerance * largest,
            "\(name), logits")
        expectClose([loss.item], [golden.loss], relative: tolerance, "\(name), loss")
        let parameters = network.namedParameters
        #expect(Set(parameters.map(\.name)) == Set(golden.gradients.keys))
        for (key, parameter) in parameters {
            let wanted = try #require(golden.gradients[key])
            let gradient = try #require(parameter.gradient, "\(name): '\(key)' got no gradient")
            // A sum may cancel: what it may differ by is a matter of the norm and of the number of elements.
            let scale = max(wanted[1], 1e-3)
            let terms = Double(parameter.elementCount).squareRoot(), allowed = (gradients ?? tolerance) * scale
            let found = KeyedNumbers.digest(gradient)
            expectClose([found[0]], [wanted[0]], relative: 0, absolute: allowed * terms, "\(name), \(key)")
            expectClose(
                Array(found.dropFirst()), Array(wanted.dropFirst()), relative: 0, absolute: allowed,
                "\(name), \(key)")
        }
        let buffers = network.namedBuffers.filter(\.buffer.isPersistent)
        #expect(Set(buffers.map(\.name)) == Set(golden.buffers.keys))
        for (key, buffer) in buffers {
            let wanted = try #require(golden.buffers[key])
            let terms = Double(buffer.value.elementCount).squareRoot()
            expectClose(
                KeyedNumbers.digest(buffer.value), wanted, relative: tolerance, absolute: tolerance * terms,
                "\(name), \(key)")
        }
    }
}
