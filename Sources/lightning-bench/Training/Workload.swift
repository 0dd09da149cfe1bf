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
            // A word at a time is enough, and leaves no large list behind.
            Tensor(shape: [count], dtype: .int64) { bytes in
                let labels = bytes.bindMemory(to: Int64.self)
                for start in stride(from: 0, to: count, by: 1024) {
                    for (i, word) in stream.words(min(1024, count - start)).enumerated() {
                        labels[start + i] = Int64(word) * Int64(classes) >> 32
                    }
                }
            }
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
        return DataLoader(
            TensorDataset(inputs: stream.normals(shape), labels: labels(samples, below: 10)),
            batchSize: .perRank(batch),
            shuffles: false, dropsLast: true)
    }
}
