import NN
import Tensors
import Testing

/// Names and order of parts, as they are found by reflection.
struct ModuleTests {
    private class Base: Module {
        private let first = Linear(1, 1)
        let scale = Parameter(.ones([2]))
    }

    private final class Derived: Base {
        let second = Linear(1, 1, bias: false)
        let note = "text"
        let sizes = [1, 2, 3]
    }

    private final class Collections: Module {
        let list = [Linear(1, 2), Linear(2, 1, bias: false)]
        let nested: [[any Layer]] = [[ReLU()], [LayerNorm(3, bias: false), Linear(1, 1, bias: false)]]
        let table = ["b": Parameter(.ones([1])), "a": Parameter(.ones([2])), "c": Parameter(.ones([3]))]
        let absent: Linear? = nil
        let present: Linear? = Linear(1, 1, bias: false)
        let holes: [Parameter?] = [nil, Parameter(.ones([4]))]
        let pair = (Linear(1, 1, bias: false), right: Parameter(.ones([5])))
        let buffers = [Buffer(.zeros([1])), Buffer(.zeros([2]), isPersistent: false)]
        let vocabulary = ["the": 1, "a": 2]
        let numbers: [Double] = [1, 2]
        let codes = [1: "x"]
    }

    @Test func countingAndApplying() {
        let embedding = Embedding(7, 3)
        let network = Sequential {
            embedding
            Sequential {
                Linear(3, 3)
                ReLU()
            }
            Linear(weight: embedding.weight)
        }
        #expect(network.parameterCount() == 21 + 12)
        #expect(network.namedParameters.map(\.name) == ["0.weight", "1.0.weight", "1.0.bias"])
        embedding.freeze()
        #expect(network.parameterCount(onlyTrainable: true) == 12)
        var seen: [String] = []
        network.apply { seen.append("\(type(of: $0))") }
        #expect(seen == ["Embedding", "Sequential", "Linear", "ReLU", "Linear", "Sequential"])
    }

    @Test func superclassesComeFirst() {
        let module = Derived()
        #expect(module.namedParameters.map(\.name) == ["first.weight", "first.bias", "scale", "second.weight"])
        #expect(module.namedModules.map(\.name) == ["first", "second"])
    }

    @Test func collections() {
        let module = Collections()
        #expect(
            module.namedParameters.map(\.name) == [
                "list.0.weight", "list.0.bias", "list.1.weight", "nested.1.0.weight", "nested.1.1.weight", "table.a",
                "table.b", "table.c", "present.weight", "holes.1", "pair.0.weight", "pair.right",
            ])
        #expect(module.namedBuffers.map(\.name) == ["buffers.0", "buffers.1"])
        #expect(
            module.namedModules.map(\.name) == [
                "list.0", "list.1", "nested.0.0", "nested.1.0", "nested.1.1", "present", "pair.0",
            ])
        #expect(module.stateDictionary.keys == module.namedParameters.map(\.name) + ["buffers.0"])
    }

    @Test func sequentialNamesAreNumbers() {
        let choice = Bool(true)
        let module = Sequential {
            Linear(1, 2)
            if choice { ReLU() }
            for size in 2...3 { Linear(size, size + 1, bias: false) }
            if choice { Tanh() } else { GELU() }
            [Identity(), Dropout()]
            Sequential { LayerNorm(4) }
        }
        #expect(
            module.namedParameters.map(\.name) == [
                "0.weight", "0.bias", "2.weight", "3.weight", "7.0.weight", "7.0.bias",
            ])
        #expect(module.layers.count == 8)
    }

    private final class Tied: Module {
        let tokens = Embedding(3, 2)
        let head: Linear
        let again: Embedding
        let weight: Parameter
        override init() {
            head = Linear(2, 2)
            again = tokens
            weight = tokens.weight
        }
    }

    @Test func tiedWeightsCountOnce() {
        let module = Tied()
        #expect(module.namedParameters.map(\.name) == ["tokens.weight", "head.weight", "head.bias"])
        #expect(module.namedModules.map(\.name) == ["tokens", "head"])
        #expect(module.parameters.map(\.name) == ["tokens.weight", "head.weight", "head.bias"])
    }

    private final class Node: Module {
        let weight = Parameter(.ones([1]))
        var next: Node?
    }

    @Test func cyclesEnd() {
        let (a, b) = (Node(), Node())
        a.next = b
        b.next = a
        #expect(a.namedParameters.map(\.name) == ["weight", "next.weight"])
        a.evaluate()
        #expect(!b.isTraining)
        #expect(throws: Never.self) { try a.load(a.stateDictionary) }
        b.next = nil
        a.next = a
        #expect(a.namedParameters.map(\.name) == ["weight"])
    }

    /// Walking a part does not shorten the names that the whole gave.
    @Test func namesOfTheWholeStay() {
        let parts = Sequential { Linear(1, 1) }
        #expect(parts.parameters.map(\.name) == ["0.weight", "0.bias"])
        let whole = Sequential { parts }
        _ = whole.parameters
        #expect(parts.parameters.map(\.name) == ["0.0.weight", "0.0.bias"])
        #expect(parts.namedParameters.map(\.name) == ["0.weight", "0.bias"])
        #expect(parts.layers[0].parameters.map(\.name) == ["0.0.weight", "0.0.bias"])
        let other = Sequential {
            Identity()
            parts
        }
        #expect(other.parameters.map(\.name) == ["1.0.weight", "1.0.bias"])
    }

    // MARK: - Modes

    @Test func modes() {
        let inner = Dropout()
        let module = Sequential {
            Linear(1, 1)
            Sequential { inner }
        }
        #expect(module.isTraining && inner.isTraining)
        inner.evaluate()
        let modes = module.modes
        module.evaluate()
        #expect(module.namedModules.allSatisfy { !$0.module.isTraining } && !module.isTraining)
        module.restoreModes(modes)
        #expect(module.isTraining && module.layers[1].isTraining && !inner.isTraining)
        module.train()
        #expect(inner.isTraining)
        module.train(false)
        #expect(!inner.isTraining && !module.isTraining)
    }

    @Test func freezing() {
        let module = Sequential {
            Linear(2, 2)
            Dropout()
        }
        module.freeze()
        #expect(module.parameters.allSatisfy { !$0.requiresGradient })
        #expect(!module.isTraining && !module.layers[1].isTraining)
        #expect(!module(.ones([1, 2])).requiresGradient)
        module.unfreeze()
        #expect(module.parameters.allSatisfy { $0.requiresGradient })
        #expect(module.isTraining && module.layers[1].isTraining)
        #expect(module(.ones([1, 2])).requiresGradient)
    }

    // MARK: - What is refused

    private final class LazyConvolution: Module {
        lazy var layer = Conv2d(1, 1, kernel: 1)
    }

    private final class LazyLayers: Module {
        lazy var layers: [any Layer] = []
    }

    private final class LazyNumber: Module {
        lazy var size = 3
        lazy var text = "Linear"
        lazy var moduleNames = ["Module"]
    }

    private struct Pair {
        let left = Linear(1, 1)
        let right = 1
    }

    private final class Structured: Module { let pair = Pair() }
    private final class Structures: Module { let pairs = [Pair()] }
    private final class Numbered: Module { let heads = [1: Linear(1, 1)] }
    private final class Enumerated: Module {
        enum Head { case linear(Linear), none }
        let head = Head.linear(Linear(1, 1))
    }

    @Test func lazyPropertiesOfOtherTypes() {
        let module = LazyNumber()
        _ = (module.size, module.text, module.moduleNames)
        #expect(module.parameters.isEmpty)
    }

    private func expectRefusal(
        _ result: ExitTest.Result?, _ message: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains(message), "\(text)", sourceLocation: sourceLocation)
    }

    @Test func lazyPartsAreRefused() async {
        let layer = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = LazyConvolution().parameters
        }
        expectRefusal(
            layer,
            "LazyConvolution: the lazy property 'layer' holds parts that are not seen before its first use; make it a stored property"
        )
        let used = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let module = LazyConvolution()
            _ = module.layer
            _ = module.stateDictionary
        }
        expectRefusal(used, "LazyConvolution: the lazy property 'layer' holds")
        let layers = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = LazyLayers().parameters
        }
        expectRefusal(layers, "LazyLayers: the lazy property 'layers' holds")
    }

    @Test func hiddenPartsAreRefused() async {
        let structured = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = Structured().parameters
        }
        expectRefusal(
            structured,
            "Structured: 'pair' is a Pair, in which modules, parameters and buffers are not found; hold them in properties of a Module, in arrays, or in dictionaries with String keys"
        )
        let structures = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = Sequential { Linear(1, 1) }.parameters
            _ = Structures().parameters
        }
        expectRefusal(structures, "Structures: 'pairs.0' is a Pair")
        let numbered = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = Numbered().parameters
        }
        expectRefusal(numbered, "Numbered: 'heads' is a Dictionary<Int, Linear>")
        let enumerated = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = Enumerated().parameters
        }
        expectRefusal(enumerated, "Enumerated: 'head' is a Head")
    }

    @Test func misuseOfLayers() async {
        let heads = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = SelfAttention(10, heads: 4)
        }
        expectRefusal(heads, "SelfAttention: a width of 10 cannot be shared by 4 heads")
        let groups = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = Conv2d(3, 4, kernel: 1, groups: 2)
        }
        expectRefusal(groups, "Conv2d: 3 channels and 4 outputs cannot be cut into 2 groups")
        let dropout = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { _ = Dropout(1) }
        expectRefusal(dropout, "Dropout: a probability of 1.0; it is in 0 ..< 1")
        let single = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = BatchNorm(2)(.ones([1, 2]))
        }
        expectRefusal(single, "a batch of one value per channel has no variance")
    }

    @Test func chainsThatRunLayersTogetherGiveTheSame() {
        let layers: [any Layer] = [
            Linear(3, 8), ReLU(), ReLU(), Linear(8, 8), Tanh(), Linear(8, 4), ReLU(), Linear(4, 2),
        ]
        let input = Parameter(Tensor([Float](arrayLiteral: 1, -2, 3, 0.5, 0.25, -1), shape: [2, 3]))
        func gradients(_ output: Tensor) -> [Float] {
            input.clearGradient()
            output.sum().backward()
            return output.array(of: Float.self) + (input.gradient?.array(of: Float.self) ?? [])
        }
        let together = gradients(Sequential(layers)(input.value))
        let apart = gradients(layers.reduce(input.value) { $1($0) })
        #expect(together == apart && together.count == 10)
    }
}
