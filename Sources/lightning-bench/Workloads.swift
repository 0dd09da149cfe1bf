import Foundation
import Lightning

/// The training workloads that peers are measured with: the same layers, sizes, optimizer and synthetic data.
enum Workload: String, CaseIterable {
    /// Perceptron 64-64-10, batch 32.
    case tiny
    /// Perceptron 784-512-512-10, batch 128.
    case mlp
    /// Two convolutions with pooling and two dense layers on 28 × 28, batch 64.
    case cnn
    /// Transformer of 6 layers, width 384, 6 heads, context 256, 65 characters, batch 8.
    case gpt
    /// ResNet-18 for 32 × 32 colour images, batch 32.
    case resnet18

    /// Samples per rank and step.
    var batch: Int {
        switch self {
        case .tiny, .resnet18: 32
        case .mlp: 128
        case .cnn: 64
        case .gpt: 8
        }
    }

    /// Samples held in memory; characters for the transformer.
    var samples: Int {
        switch self {
        case .gpt: 1_000_000
        case .resnet18: 2_048
        default: 60_000
        }
    }

    /// The optimizer measured by default.
    var optimizer: String { self == .gpt ? "adamw" : "sgd" }

    /// The network: inputs to logits `[rows, classes]`.
    func network() -> any Layer {
        switch self {
        case .tiny:
            return Sequential {
                Linear(64, 64)
                ReLU()
                Linear(64, 10)
            }
        case .mlp:
            return Sequential {
                Linear(784, 512)
                ReLU()
                Linear(512, 512)
                ReLU()
                Linear(512, 10)
            }
        case .cnn:
            return Sequential {
                Conv2d(1, 32, kernel: 3, padding: 1)
                ReLU()
                MaxPool2d(2)
                Conv2d(32, 64, kernel: 3, padding: 1)
                ReLU()
                MaxPool2d(2)
                Flatten()
                Linear(3136, 128)
                ReLU()
                Linear(128, 10)
            }
        case .gpt: return Transformer(layers: 6, width: 384, heads: 6, context: 256, vocabulary: 65)
        case .resnet18: return ResNet18()
        }
    }

    /// Synthetic data, other on each rank.
    func loader(samples: Int, batch: Int, rank: Int) -> DataLoader<LabeledBatch> {
        var stream = RandomStream(seed: UInt64(1 + rank), purpose: .user)
        func labels(_ count: Int, below classes: Int) -> Tensor {
            Tensor(stream.uniforms(count).map { Int64($0 * Double(classes)) })
        }
        if self == .gpt {
            return DataLoader(
                TokenWindowDataset(labels(samples, below: 65), context: 256), batchSize: .perRank(batch),
                shuffles: false, dropsLast: true)
        }
        let shape: Shape =
            switch self {
            case .tiny: [samples, 64]
            case .mlp: [samples, 784]
            case .cnn: [samples, 1, 28, 28]
            default: [samples, 3, 32, 32]
            }
        // Normal numbers made a block at a time, so that making them leaves no large block behind.
        var inputs = Tensor(uninitialized: shape)
        let width = shape.elementCount / samples
        for start in stride(from: 0, to: samples, by: 256) {
            let count = min(256, samples - start)
            var block = shape
            block[0] = count
            inputs.replace(
                start..<(start + count),
                with: Tensor(stream.normals(count * width).map(Float.init), shape: block))
        }
        return DataLoader(
            TensorDataset(inputs: inputs, labels: labels(samples, below: 10)), batchSize: .perRank(batch),
            shuffles: false, dropsLast: true)
    }
}

/// A pre-norm decoder with tied embedding, without biases.
private final class Transformer: Module, Layer {
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
private final class ResNet18: Module, Layer {
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
