import Lightning

/// A residual network (He et al., "Deep Residual Learning for Image Recognition", 2016).
///
/// Names and shapes are torchvision's, so that state dictionaries are interchangeable. As there, the stride of a
/// bottleneck is in its 3 × 3 convolution.
public final class ResNet: Module, Layer {
    /// How deep a network is.
    public enum Depth: Int, Sendable, Codable, CaseIterable {
        /// Eight blocks of two convolutions.
        case resNet18 = 18
        /// Sixteen blocks of two convolutions.
        case resNet34 = 34
        /// Sixteen blocks of three convolutions.
        case resNet50 = 50

        /// Blocks in each of the four stages.
        var blocks: [Int] { self == .resNet18 ? [2, 2, 2, 2] : [3, 4, 6, 3] }
        /// How many times as many channels leave a block as its 3 × 3 convolutions have.
        var expansion: Int { self == .resNet50 ? 4 : 1 }
    }

    private let stem: Conv2d
    private let stemNorm: BatchNorm
    private let stemPool = MaxPool2d(3, stride: 2, padding: 1)
    private let stages: [Sequential]
    private let head: Linear

    /// A network for images of three channels, with torchvision's initial values.
    ///
    /// - Parameters:
    ///   - depth: How many convolutions there are.
    ///   - classes: How many logits come out.
    ///   - channels: Channels of the input.
    public init(_ depth: Depth, classes: Int = 1000, channels: Int = 3) {
        stem = .beforeRectifier(channels, 64, kernel: 7, stride: 2, padding: 3)
        stemNorm = BatchNorm(64)
        var inputs = 64
        stages = zip(depth.blocks, [64, 128, 256, 512]).enumerated().map { stage, shape in
            let (count, width) = shape
            let blocks: [any Layer] = (0..<count).map { block in
                defer { inputs = width * depth.expansion }
                return ResidualBlock(
                    inputs, width: width, outputs: width * depth.expansion, stride: stage > 0 && block == 0 ? 2 : 1,
                    isBottleneck: depth.expansion > 1)
            }
            return Sequential(blocks)
        }
        head = Linear(512 * depth.expansion, classes)
    }

    /// torchvision's names.
    public override var namedParts: [(name: String, part: Any)] {
        [("conv1", stem), ("bn1", stemNorm)] + stages.enumerated().map { ("layer\($0.offset + 1)", $0.element) }
            + [("fc", head)]
    }

    /// Logits for images: `[samples, channels, height, width]` to `[samples, classes]`.
    public func callAsFunction(_ images: Tensor) -> Tensor {
        let x = stemPool(stemNorm.rectified(stem(images)))
        return head(stages.reduce(x) { $1($0) }.mean(along: [2, 3]))
    }
}

/// Convolutions whose result is added to what came in: two of 3 × 3, or one of them between two of 1 × 1.
final class ResidualBlock: Module, Layer {
    private let convolutions: [Conv2d]
    private let norms: [BatchNorm]
    /// Fits what came in to the result, where channels or size differ.
    private let shortcut: Sequential?

    init(_ inputs: Int, width: Int, outputs: Int, stride: Int, isBottleneck: Bool) {
        convolutions =
            isBottleneck
            ? [
                .beforeRectifier(inputs, width, kernel: 1),
                .beforeRectifier(width, width, kernel: 3, stride: stride, padding: 1),
                .beforeRectifier(width, outputs, kernel: 1),
            ]
            : [
                .beforeRectifier(inputs, width, kernel: 3, stride: stride, padding: 1),
                .beforeRectifier(width, outputs, kernel: 3, padding: 1),
            ]
        norms = convolutions.map { BatchNorm($0.weight.shape[0]) }
        shortcut =
            stride != 1 || inputs != outputs
            ? Sequential {
                Conv2d.beforeRectifier(inputs, outputs, kernel: 1, stride: stride)
                BatchNorm(outputs)
            } : nil
    }

    /// torchvision's names.
    override var namedParts: [(name: String, part: Any)] {
        var parts: [(name: String, part: Any)] = []
        for (index, pair) in zip(convolutions, norms).enumerated() {
            parts += [("conv\(index + 1)", pair.0), ("bn\(index + 1)", pair.1)]
        }
        if let shortcut { parts.append(("downsample", shortcut)) }
        return parts
    }

    func callAsFunction(_ input: Tensor) -> Tensor {
        var x = input
        for (index, pair) in zip(convolutions, norms).enumerated() {
            x = index < convolutions.count - 1 ? pair.1.rectified(pair.0(x)) : pair.1(pair.0(x))
        }
        return (x + (shortcut.map { $0(input) } ?? input)).relu()
    }
}

extension Conv2d {
    /// A convolution whose weights keep the size of gradients through rectifiers (He et al., 2015): normal, by outputs.
    static func beforeRectifier(
        _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, bias: Bool = false
    ) -> Conv2d {
        let layer = Conv2d(inputs, outputs, kernel: kernel, stride: stride, padding: padding, bias: bias)
        let deviation = (2 / Double(outputs * kernel * kernel)).squareRoot()
        layer.weight.assign(Initializer.normal(deviation: deviation)(layer.weight.shape))
        layer.bias?.assign(.zeros([outputs]))
        return layer
    }
}
