import Tensors

/// What the layers of a ``Transformer`` are made like.
public struct TransformerSettings: Sendable {
    /// The rectifier between the two linear maps of a layer.
    public enum Activation: String, Sendable, Codable, CaseIterable {
        /// max(x, 0).
        case relu
        /// x · Φ(x).
        case gelu
    }

    /// The width of the model.
    public var size: Int
    /// How many heads share it.
    public var heads: Int
    /// The width between the two linear maps of a layer.
    public var feedForward: Int
    /// The share of attention weights and of what each part of a layer adds that is dropped in training.
    public var dropout: Double
    /// The rectifier between the two linear maps of a layer.
    public var activation: Activation
    /// Whether inputs of parts are normalised (Xiong et al., 2020) instead of sums.
    public var normFirst: Bool
    /// What is added to variances.
    public var epsilon: Double
    /// Whether linear maps and normalisations have biases.
    public var bias: Bool

    /// Settings with PyTorch's defaults.
    public init(
        _ size: Int, heads: Int, feedForward: Int = 2048, dropout: Double = 0.1, activation: Activation = .relu,
        normFirst: Bool = false, epsilon: Double = 1e-5, bias: Bool = true
    ) {
        self.size = size
        self.heads = heads
        self.feedForward = feedForward
        self.dropout = dropout
        self.activation = activation
        self.normFirst = normFirst
        self.epsilon = epsilon
        self.bias = bias
    }

    func makeNorm() -> LayerNorm { LayerNorm(size, epsilon: epsilon, bias: bias) }
    func makeAttention() -> MultiheadAttention { MultiheadAttention(size, heads: heads, dropout: dropout, bias: bias) }
}

/// What encoder and decoder layers share: parts that are added to what came in, with normalisation, and the last of them.
public class TransformerLayer: Module {
    fileprivate let settings: TransformerSettings
    fileprivate let first, second: Linear

    fileprivate init(_ settings: TransformerSettings) {
        self.settings = settings
        first = Linear(settings.size, settings.feedForward, bias: settings.bias)
        second = Linear(settings.feedForward, settings.size, bias: settings.bias)
    }

    /// The input with a part's result added, one of both normalised.
    fileprivate final func adding(_ input: Tensor, _ norm: LayerNorm, _ part: (Tensor) -> Tensor) -> Tensor {
        settings.normFirst ? input + dropped(part(norm(input))) : norm(input + dropped(part(input)))
    }

    fileprivate final func feedForward(_ input: Tensor) -> Tensor {
        let wide = first(input)
        return second(dropped(settings.activation == .relu ? wide.relu() : wide.gelu()))
    }

    private func dropped(_ input: Tensor) -> Tensor { isTraining ? input.droppedOut(settings.dropout) : input }
}

/// A layer of a transformer's encoder: attention of a sequence to itself, and two linear maps.
public final class TransformerEncoderLayer: TransformerLayer {
    private let attention: MultiheadAttention
    private let norms: [LayerNorm]

    /// A layer with PyTorch's initial values.
    public override init(_ settings: TransformerSettings) {
        attention = settings.makeAttention()
        norms = (0..<2).map { _ in settings.makeNorm() }
        super.init(settings)
    }

    /// PyTorch's names.
    public override var namedParts: [(name: String, part: Any)] {
        [
            ("self_attn", attention), ("linear1", first), ("linear2", second), ("norm1", norms[0]),
            ("norm2", norms[1]),
        ]
    }

    /// `[batch, length, size]` to the same shape.
    ///
    /// - Parameters:
    ///   - input: The sequence.
    ///   - mask: What its positions may see of it.
    ///   - padding: `[batch, length]` as `uint8`: 1 at positions that nobody sees.
    public func callAsFunction(_ input: Tensor, mask: AttentionMask = .none, padding: Tensor? = nil) -> Tensor {
        let x = adding(input, norms[0]) { attention($0, mask: mask, padding: padding) }
        return adding(x, norms[1], feedForward)
    }
}

/// A layer of a transformer's decoder: attention of a sequence to itself, then to the encoder's, and two linear maps.
public final class TransformerDecoderLayer: TransformerLayer {
    private let attention, memoryAttention: MultiheadAttention
    private let norms: [LayerNorm]

    /// A layer with PyTorch's initial values.
    public override init(_ settings: TransformerSettings) {
        attention = settings.makeAttention()
        memoryAttention = settings.makeAttention()
        norms = (0..<3).map { _ in settings.makeNorm() }
        super.init(settings)
    }

    /// PyTorch's names.
    public override var namedParts: [(name: String, part: Any)] {
        [
            ("self_attn", attention), ("multihead_attn", memoryAttention), ("linear1", first), ("linear2", second),
            ("norm1", norms[0]), ("norm2", norms[1]), ("norm3", norms[2]),
        ]
    }

    /// `[batch, length, size]` to the same shape.
    ///
    /// - Parameters:
    ///   - input: The sequence.
    ///   - memory: `[batch, memory length, size]`, what the encoder made.
    ///   - mask: What positions may see of their own sequence.
    ///   - memoryMask: What they may see of the memory.
    ///   - padding: `[batch, length]` as `uint8`: 1 at positions that nobody sees.
    ///   - memoryPadding: The same for the memory.
    public func callAsFunction(
        _ input: Tensor, memory: Tensor, mask: AttentionMask = .none, memoryMask: AttentionMask = .none,
        padding: Tensor? = nil, memoryPadding: Tensor? = nil
    ) -> Tensor {
        var x = adding(input, norms[0]) { attention($0, mask: mask, padding: padding) }
        x = adding(x, norms[1]) {
            memoryAttention(query: $0, key: memory, value: memory, mask: memoryMask, padding: memoryPadding)
        }
        return adding(x, norms[2], feedForward)
    }
}
