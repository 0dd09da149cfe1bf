import ExampleModules
import Foundation
import Lightning
import Synchronization
import TestSupport
import Testing

/// The table of a model: shapes and operations as counted by hand, and by PyTorch.
@Suite(.serialized) struct ModelSummaryTests {
    private final class Network: LightningModule, Layer {
        let body: Sequential
        let example: Tensor?

        init(_ body: Sequential, example: Tensor?) { (self.body, self.example) = (body, example) }

        override var exampleInputArray: Tensor? { example }
        func callAsFunction(_ input: Tensor) -> Tensor { body(input) }
    }

    private func multilayer(_ example: Tensor? = Tensor(filling: 1, shape: [7, 20])) -> Network {
        Network(
            Sequential {
                Linear(20, 30)
                ReLU()
                Linear(30, 5)
            }, example: example)
    }

    private func convolution() -> Network {
        Network(
            Sequential {
                Conv2d(3, 8, kernel: 3, padding: 1)
                BatchNorm(8)
                ReLU()
                MaxPool2d(2)
                Conv2d(
                    8, 12, window: Window(kernel: (3, 2), stride: (2, 1), padding: (0, 0), dilation: (1, 1)), groups: 4,
                    bias: false)
                Flatten()
                Linear(12 * 2 * 5, 10)
            }, example: Tensor(filling: 0.5, shape: [2, 3, 12, 12]))
    }

    private func attention() -> Network {
        Network(
            Sequential { SelfAttention(24, heads: 4) }, example: Tensor(filling: 0.5, shape: [3, 10, 24]))
    }

    @Test func theTableByHand() {
        let text = ModelSummary(maxDepth: 2).text(multilayer())
        // 2 · 7 · 20 · 30 and 2 · 7 · 30 · 5; 4 · (20 · 30 + 30 + 30 · 5 + 5) bytes.
        let wanted = """
             name   │ type       │ parameters │ input   │ output  │ operations
            ───────────────────────────────────────────────────────────────────
             body   │ Sequential │ 785        │ [7, 20] │ [7, 5]  │ 10,500
             body.0 │ Linear     │ 630        │ [7, 20] │ [7, 30] │ 8,400
             body.1 │ ReLU       │ 0          │ [7, 30] │ [7, 30] │ 0
             body.2 │ Linear     │ 155        │ [7, 30] │ [7, 5]  │ 2,100
            ───────────────────────────────────────────────────────────────────
             785 trainable, 0 frozen, 0.00314 MB
             10,500 operations forward for an input of [7, 20]
            """
        #expect(text == wanted)
    }

    /// Two convolutions, 2 · 64 · 9 · (1 · 32 + 32 · 64), and two dense layers, 2 · 128 · (64 · 16 + 10).
    @Test func theExamplesHaveAnExample() throws {
        let images = ModelSummary().text(try ImageClassifier(.init()))
        #expect(images.contains(" 2,660,864 operations forward for an input of [1, 1, 8, 8]"), "\(images)")
        let characters = ModelSummary().text(try CharacterTransformer(.init()))
        #expect(characters.contains(" operations forward for an input of [1, 128]"), "\(characters)")
        let pair = ModelSummary().text(DigitsGAN(.init()))
        #expect(pair.contains(" operations forward for an input of [64, 32]"), "\(pair)")
    }

    @Test func depthAndNoExample() {
        let text = ModelSummary().text(multilayer(nil)).components(separatedBy: "\n")
        #expect(
            text == [
                " name │ type       │ parameters", "────────────────────────────────", " body │ Sequential │ 785",
                "────────────────────────────────", " 785 trainable, 0 frozen, 0.00314 MB",
            ])
        #expect(ModelSummary(maxDepth: -1).text(attention()).contains(" body.0.projection │"))
        #expect(!ModelSummary(maxDepth: 0).text(attention()).contains("body"))
    }

    /// The judge is PyTorch's `FlopCounterMode`.
    @Test(arguments: ["mlp", "convolution", "attention"]) func operationsAsPyTorchCounts(name: String) throws {
        struct Count: Decodable { var operations: Int }
        let file = Bundle.module.bundleURL.appendingPathComponent("Golden/operations.json")
        let golden = try JSONDecoder().decode([String: Count].self, from: Data(contentsOf: file))
        let network = ["mlp": { multilayer() }, "convolution": convolution, "attention": attention][name]?()
        let module = try #require(network)
        let (_, operations) = OperationCount.counting {
            withoutGradient { _ = module(module.example ?? Tensor([1])) }
        }
        #expect(operations == golden[name]?.operations)
        #expect(ModelSummary().text(module).contains(" \(grouped(operations)) operations forward"))
    }

    private func grouped(_ number: Int) -> String {
        let digits = String(number)
        return digits.dropLast(3) + "," + digits.suffix(3)
    }

    /// Convolution, grouped convolution and dense layer by hand, each where it belongs.
    @Test func operationsOfConvolutions() throws {
        let lines = ModelSummary(maxDepth: 2).text(convolution()).split(separator: "\n")
        func cells(_ name: String) throws -> [String] {
            try #require(lines.first { $0.hasPrefix(" \(name) ") }).split(separator: "│").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
        }
        #expect(
            try cells("body.0") == [
                "body.0", "Conv2d", "224", "[2, 3, 12, 12]", "[2, 8, 12, 12]", "124,416",
            ])
        #expect(try cells("body.4").suffix(3) == ["[2, 8, 6, 6]", "[2, 12, 2, 5]", "5,760"])
        #expect(try cells("body.6").last == "4,800")
        #expect(lines.last { $0.contains("MB of buffers") } != nil)
    }

    /// Nothing is counted when nobody asks, and backward passes never.
    @Test func onlyForwardAndOnlyWhenAsked() {
        let module = multilayer()
        let input = Tensor(filling: 1, shape: [7, 20])
        _ = module(input)
        let (_, operations) = OperationCount.counting { module(input).sum().backward() }
        #expect(operations == 10_500)
    }

    @Test func theModuleIsLeftAsItWas() {
        let module = convolution()
        module.body.layers[2].evaluate()
        let before = module.stateDictionary.map { $0.tensor.doubles }
        let context = RandomContext.current.seed
        _ = ModelSummary(maxDepth: -1).text(module)
        #expect(module.stateDictionary.map { $0.tensor.doubles } == before)
        #expect(module.body.layers.map(\.isTraining) == [true, true, false, true, true, true, true])
        #expect(RandomContext.current.seed == context)
        #expect(module.parameters.allSatisfy { $0.gradient == nil })
    }

    private final class Opaque: LightningModule {
        let layer = Linear(2, 2)
        override var exampleInputArray: Tensor? { Tensor([1, 2]) }
    }

    @Test func aModuleThatIsNoLayerSaysSo() {
        let text = ModelSummary().text(Opaque())
        #expect(
            text.hasSuffix(
                "\n exampleInputArray is given, but Opaque is no Layer that could be run on it: conform to Layer"))
    }

    private final class Pair: Module {
        let first = Linear(4, 4)
        let second = Linear(4, 4)
    }

    private final class Nested: LightningModule, Layer {
        let pair = Pair()
        let unused = Linear(4, 4)
        override var exampleInputArray: Tensor? { Tensor(filling: 1, shape: [1, 4]) }
        func callAsFunction(_ input: Tensor) -> Tensor { pair.first(pair.first(pair.second(input))) }
    }

    /// A module that nobody saw has the operations of its parts; one that was called twice counts twice; one that was
    /// not called has none.
    @Test func modulesThatAreNotSeen() {
        let lines = ModelSummary(maxDepth: -1).text(Nested()).split(separator: "\n").map {
            $0.split(separator: "│").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
        }
        #expect(Array(lines[2...5]) == ["96", "64", "32", "?"])
    }

    /// Waits in its forward pass, before and after its work, until another is there too.
    private final class Meeting: LightningModule, Layer {
        let body: Sequential
        private let inputs: Int
        private let here, there: DispatchSemaphore

        init(inputs: Int, here: DispatchSemaphore, there: DispatchSemaphore) {
            body = Sequential {
                Linear(inputs, 8)
                ReLU()
            }
            (self.inputs, self.here, self.there) = (inputs, here, there)
        }

        override var exampleInputArray: Tensor? { Tensor(filling: 1, shape: [2, inputs]) }

        func callAsFunction(_ input: Tensor) -> Tensor {
            meet()
            let output = body(input)
            meet()
            return output
        }

        private func meet() {
            here.signal()
            #expect(there.wait(timeout: .now() + 60) == .success)
        }
    }

    /// Summaries that are made at the same time see their own module alone.
    @Test func twoThreadsAtOnce() {
        let (first, second) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let texts = Mutex<[Int: String]>([:])
        let done = DispatchGroup()
        for (inputs, here, there) in [(3, first, second), (5, second, first)] {
            done.enter()
            Thread {
                let text = ModelSummary(maxDepth: -1).text(Meeting(inputs: inputs, here: here, there: there))
                texts.withLock { $0[inputs] = text }
                done.leave()
            }.start()
        }
        done.wait()
        for inputs in [3, 5] {
            let lines = texts.withLock { $0[inputs] ?? "" }.split(separator: "\n")
            let rows = lines.map { $0.split(separator: "│").suffix(3).map { $0.trimmingCharacters(in: .whitespaces) } }
            let (input, operations) = ("[2, \(inputs)]", "\(2 * 2 * inputs * 8)")
            let whole = [input, "[2, 8]", operations]
            #expect(rows[2...4] == [whole, whole, ["[2, 8]", "[2, 8]", "0"]])
            #expect(lines.last == " \(operations) operations forward for an input of \(input)")
        }
    }
}
