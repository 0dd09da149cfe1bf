import NN
import Tensors
import TestSupport

/// The character transformer of the examples, built of parts with the same names as in `make_nn_golden.py`.
final class CharacterTransformer: Module {
    private let tokens: Embedding
    private let positions: Embedding
    private let blocks: [Block]
    private let norm: LayerNorm
    /// As PyTorch's `head.weight = tokens.weight`.
    private let head: Linear

    init(vocabulary: Int, context: Int, width: Int, heads: Int, layers: Int) {
        tokens = Embedding(vocabulary, width)
        positions = Embedding(context, width)
        blocks = (0..<layers).map { _ in Block(width, heads: heads) }
        norm = LayerNorm(width, bias: false)
        head = Linear(weight: tokens.weight)
    }

    func callAsFunction(_ input: Tensor, _ labels: Tensor) -> Tensor {
        var x = tokens(input) + positions.weight.value.slice(0..<input.shape[1])
        for block in blocks { x = block(x) }
        return crossEntropy(head(norm(x)), labels)
    }
}

/// Attention and a two-layer perceptron, each added to what came in.
final class Block: Module, Layer {
    private let firstNorm: LayerNorm
    private let attention: SelfAttention
    private let secondNorm: LayerNorm
    private let up: Linear
    private let down: Linear

    init(_ width: Int, heads: Int) {
        firstNorm = LayerNorm(width, bias: false)
        attention = SelfAttention(width, heads: heads, isCausal: true, bias: false)
        secondNorm = LayerNorm(width, bias: false)
        up = Linear(width, 4 * width, bias: false)
        down = Linear(4 * width, width, bias: false)
    }

    func callAsFunction(_ input: Tensor) -> Tensor {
        let x = input + attention(firstNorm(input))
        return x + down(up(secondNorm(x)).gelu())
    }
}

/// The image classifier of the examples, without dropout.
final class Classifier: Module {
    private let features = Sequential {
        Conv2d(1, 3, kernel: 3, padding: 1)
        ReLU()
        Conv2d(3, 4, kernel: 3, padding: 1)
        ReLU()
        MaxPool2d(2)
    }
    private let head = Sequential {
        Flatten()
        Linear(64, 8)
        ReLU()
        Identity()
        Linear(8, 5)
    }

    func callAsFunction(_ images: Tensor, _ labels: Tensor) -> Tensor { crossEntropy(head(features(images)), labels) }
}

/// The Swift side of one golden case.
struct GoldenModule: Sendable {
    /// Makes the module and what it computes of the case's inputs.
    let make: @Sendable () -> (module: Module, apply: ([Tensor]) -> Tensor)

    init(_ make: @escaping @Sendable () -> any Layer) {
        self.make = {
            let layer = make()
            return (layer, { layer($0[0]) })
        }
    }

    init(pair make: @escaping @Sendable () -> (Module, ([Tensor]) -> Tensor)) { self.make = make }
}

/// Every case of the golden file but those of several batches.
let goldenModules = [basicModules, recurrentModules, layerModules, transformerModules].reduce(into: [:]) {
    $0.merge($1) { first, _ in first }
}

private let basicModules: [String: GoldenModule] = [
    "linear": .init { Linear(5, 7) },
    "linear.plain": .init { Linear(5, 7, bias: false) },
    "linear.vector": .init { Linear(5, 2) },
    "embedding": .init { Embedding(6, 4) },
    "relu": .init { ReLU() },
    "gelu": .init { GELU() },
    "silu": .init { SiLU() },
    "tanh": .init { Tanh() },
    "sigmoid": .init { Sigmoid() },
    "identity": .init { Identity() },
    "flatten": .init { Flatten() },
    "layerNorm": .init { LayerNorm(5) },
    "layerNorm.plain": .init { LayerNorm(5, epsilon: 1e-3, bias: false) },
    "batchNorm.evaluation": .init {
        let norm = BatchNorm(3)
        norm.evaluate()
        return norm
    },
    "conv": .init { Conv2d(4, 6, kernel: 3) },
    "conv.plain": .init { Conv2d(4, 6, kernel: 3, bias: false) },
    "conv.strided": .init { Conv2d(4, 6, kernel: 3, stride: 2, padding: 1) },
    "conv.grouped": .init { Conv2d(4, 6, kernel: 3, padding: 2, dilation: 2, groups: 2) },
    "conv.window": .init { Conv2d(4, 6, window: Window(kernel: (3, 2), stride: (1, 2), padding: (0, 1))) },
    "maxPool": .init { MaxPool2d(2) },
    "maxPool.overlapping": .init { MaxPool2d(3, stride: 2, padding: 1) },
    "averagePool": .init { AveragePool2d(2) },
    "averagePool.overlapping": .init { AveragePool2d(3, stride: 2, padding: 1) },
    "globalAveragePool": .init { GlobalAveragePool() },
    "sequential": .init {
        Sequential {
            Linear(5, 8)
            GELU()
            Sequential {
                Linear(8, 4)
                Tanh()
            }
            Linear(4, 3)
        }
    },
    "attention": .init { SelfAttention(8, heads: 2) },
    "attention.causal": .init { SelfAttention(8, heads: 4, isCausal: true) },
    "attention.plain": .init { SelfAttention(8, heads: 1, isCausal: true, bias: false) },
    "block": .init { Block(8, heads: 2) },
    "transformer": .init(pair: {
        let model = CharacterTransformer(vocabulary: 11, context: 7, width: 8, heads: 2, layers: 2)
        return (model, { model($0[0], $0[1]) })
    }),
    "classifier": .init(pair: {
        let model = Classifier()
        return (model, { model($0[0], $0[1]) })
    }),
]
