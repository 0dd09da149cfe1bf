import Lightning

/// A network of 3 × 3 convolutions (Simonyan & Zisserman, "Very Deep Convolutional Networks", 2015).
///
/// Names and shapes are torchvision's, so that state dictionaries are interchangeable.
public final class VGG: Module, Layer {
    /// How deep a network is.
    public enum Depth: Int, Sendable, Codable, CaseIterable {
        /// Eight convolutions.
        case vgg11 = 11
        /// Thirteen convolutions.
        case vgg16 = 16

        /// Channels of the convolutions between two pools.
        var stages: [[Int]] {
            switch self {
            case .vgg11: [[64], [128], [256, 256], [512, 512], [512, 512]]
            case .vgg16: [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]]
            }
        }
    }

    private let features: Sequential
    private let pool = AdaptiveAveragePool2d(7)
    private let classifier: Sequential

    /// A network for images of three channels, with torchvision's initial values.
    ///
    /// - Parameters:
    ///   - depth: How many convolutions there are, the linear maps counted.
    ///   - normalized: Whether batch norm follows each convolution.
    ///   - classes: How many logits come out.
    ///   - hidden: Width of the two linear maps before the last; 4096 in the paper.
    ///   - dropout: Share of their results that is dropped in training.
    ///   - channels: Channels of the input.
    public init(
        _ depth: Depth, normalized: Bool = false, classes: Int = 1000, hidden: Int = 4096, dropout: Double = 0.5,
        channels: Int = 3
    ) {
        var layers: [any Layer] = []
        var inputs = channels
        for stage in depth.stages {
            for outputs in stage {
                layers.append(Conv2d.beforeRectifier(inputs, outputs, kernel: 3, padding: 1, bias: true))
                if normalized { layers.append(BatchNorm(outputs)) }
                layers.append(ReLU())
                inputs = outputs
            }
            layers.append(MaxPool2d(2))
        }
        features = Sequential(layers)
        let maps = [(inputs * 49, hidden), (hidden, hidden), (hidden, classes)].map { inputs, outputs in
            let map = Linear(inputs, outputs, initializer: .normal(deviation: 0.01))
            map.bias?.assign(.zeros([outputs]))
            return map
        }
        classifier = Sequential {
            maps[0]
            ReLU()
            Dropout(dropout)
            maps[1]
            ReLU()
            Dropout(dropout)
            maps[2]
        }
    }

    /// Logits for images of at least 32 × 32: `[samples, channels, height, width]` to `[samples, classes]`.
    public func callAsFunction(_ images: Tensor) -> Tensor { classifier(pool(features(images)).flattened()) }
}
