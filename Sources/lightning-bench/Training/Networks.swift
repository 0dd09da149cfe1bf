import Lightning

/// A pre-norm decoder with tied embedding, without biases.
final class Transformer: Module, Layer {
    private let tokens: Embedding
    private let positions: Embedding
    private let blocks: [Block]
    private let norm: LayerNorm

    init(layers: Int, width: Int, heads: Int, context: Int, vocabulary: Int) {
        tokens = Embedding(vocabulary, width, deviation: 0.02)
        positions = Embedding(context, width, deviation: 0.02)
        blocks = (0..<layers).map { _ in Block(width, heads) }
        norm = LayerNorm(width, bias: false)
    }

    func callAsFunction(_ input: Tensor) -> Tensor {
        var x = tokens(input) + positions.weight.value.slice(0..<input.shape[1])
        for block in blocks { x = block(x) }
        return norm(x).linear(weight: tokens.weight.value, bias: nil)
    }

    private final class Block: Module {
        private let norm1: LayerNorm
        private let attention: SelfAttention
        private let norm2: LayerNorm
        private let up: Linear
        private let down: Linear

        init(_ width: Int, _ heads: Int) {
            let first = Initializer.normal(deviation: 0.02)
            norm1 = LayerNorm(width, bias: false)
            attention = SelfAttention(width, heads: heads, isCausal: true, bias: false, initializer: first)
            norm2 = LayerNorm(width, bias: false)
            up = Linear(width, 4 * width, bias: false, initializer: first)
            down = Linear(4 * width, width, bias: false, initializer: first)
        }

        func callAsFunction(_ input: Tensor) -> Tensor {
            let x = input + attention(norm1(input))
            return x + down(up(norm2(x)).gelu())
        }
    }
}

/// He et al., 2016, in the form for 32 × 32 images.
final class ResNet18: Module, Layer {
    private let stem: Sequential
    private let blocks: [Block]
    private let head: Linear

    override init() {
        stem = Sequential {
            Conv2d(3, 64, kernel: 3, padding: 1, bias: false)
            BatchNorm(64)
            ReLU()
        }
        var inputs = 64
        blocks = [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)].map { outputs, stride in
            defer { inputs = outputs }
            return Block(inputs, outputs, stride)
        }
        head = Linear(512, 10)
    }

    func callAsFunction(_ input: Tensor) -> Tensor {
        head(blocks.reduce(stem(input)) { $1($0) }.mean(along: [2, 3]))
    }

    private final class Block: Module {
        private let first: Sequential
        private let second: Sequential
        private let shortcut: Sequential?

        init(_ inputs: Int, _ outputs: Int, _ stride: Int) {
            first = Sequential {
                Conv2d(inputs, outputs, kernel: 3, stride: stride, padding: 1, bias: false)
                BatchNorm(outputs)
                ReLU()
            }
            second = Sequential {
                Conv2d(outputs, outputs, kernel: 3, padding: 1, bias: false)
                BatchNorm(outputs)
            }
            shortcut =
                stride == 1 && inputs == outputs
                ? nil
                : Sequential {
                    Conv2d(inputs, outputs, kernel: 1, stride: stride, bias: false)
                    BatchNorm(outputs)
                }
        }

        func callAsFunction(_ input: Tensor) -> Tensor {
            (second(first(input)) + (shortcut?(input) ?? input)).relu()
        }
    }
}
