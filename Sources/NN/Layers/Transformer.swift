import Tensors

/// A stack of encoder layers.
public final class TransformerEncoder: Module {
    private let layers: [TransformerEncoderLayer]
    private let norm: LayerNorm?

    /// Layers one above the other, and a normalisation at the end unless `norm` is false.
    public init(_ settings: TransformerSettings, layers: Int, norm: Bool = true) {
        require(layers >= 0, "TransformerEncoder", "\(layers) layers")
        self.layers = (0..<layers).map { _ in TransformerEncoderLayer(settings) }
        self.norm = norm ? settings.makeNorm() : nil
    }

    /// `[batch, length, size]` to the same shape; arguments as of ``TransformerEncoderLayer``.
    public func callAsFunction(_ input: Tensor, mask: AttentionMask = .none, padding: Tensor? = nil) -> Tensor {
        let x = layers.reduce(input) { $1($0, mask: mask, padding: padding) }
        return norm.map { $0(x) } ?? x
    }
}

/// A stack of decoder layers.
public final class TransformerDecoder: Module {
    private let layers: [TransformerDecoderLayer]
    private let norm: LayerNorm?

    /// Layers one above the other, and a normalisation at the end unless `norm` is false.
    public init(_ settings: TransformerSettings, layers: Int, norm: Bool = true) {
        require(layers >= 0, "TransformerDecoder", "\(layers) layers")
        self.layers = (0..<layers).map { _ in TransformerDecoderLayer(settings) }
        self.norm = norm ? settings.makeNorm() : nil
    }

    /// `[batch, length, size]` to the same shape; arguments as of ``TransformerDecoderLayer``.
    public func callAsFunction(
        _ input: Tensor, memory: Tensor, mask: AttentionMask = .none, memoryMask: AttentionMask = .none,
        padding: Tensor? = nil, memoryPadding: Tensor? = nil
    ) -> Tensor {
        let x = layers.reduce(input) {
            $1(
                $0, memory: memory, mask: mask, memoryMask: memoryMask, padding: padding, memoryPadding: memoryPadding)
        }
        return norm.map { $0(x) } ?? x
    }
}

/// Encoder and decoder of Vaswani et al., "Attention Is All You Need", 2017, with PyTorch's names of parameters.
///
/// Sequences are `[batch, length, size]`, as with PyTorch's `batch_first=True`; tokens are embedded before, and given their
/// places by a ``PositionalEncoding``.
public final class Transformer: Module {
    /// What reads the source.
    public let encoder: TransformerEncoder
    /// What reads the target and the encoder's result.
    public let decoder: TransformerDecoder

    /// A transformer with PyTorch's initial values: Glorot's for all matrices.
    public init(_ settings: TransformerSettings, encoderLayers: Int = 6, decoderLayers: Int = 6) {
        encoder = TransformerEncoder(settings, layers: encoderLayers)
        decoder = TransformerDecoder(settings, layers: decoderLayers)
        super.init()
        for parameter in parameters where parameter.shape.count > 1 {
            let (outputs, inputs) = (parameter.shape[0], parameter.shape[1])
            parameter.assign(Initializer.xavierUniform(inputs: inputs, outputs: outputs)(parameter.shape))
        }
    }

    /// The decoder's result for a target, given a source: `[batch, target length, size]`.
    ///
    /// - Parameters:
    ///   - source: `[batch, source length, size]`.
    ///   - target: `[batch, target length, size]`.
    ///   - sourceMask: What positions of the source may see of it.
    ///   - targetMask: What positions of the target may see of it; `.causal` for one that is to be continued.
    ///   - memoryMask: What positions of the target may see of the encoder's result.
    ///   - sourcePadding: `[batch, source length]` as `uint8`: 1 at positions that nobody in the encoder sees.
    ///   - targetPadding: `[batch, target length]`, the same for the target.
    ///   - memoryPadding: `[batch, source length]`, the same for the decoder's view of the encoder's result.
    public func callAsFunction(
        _ source: Tensor, _ target: Tensor, sourceMask: AttentionMask = .none, targetMask: AttentionMask = .none,
        memoryMask: AttentionMask = .none, sourcePadding: Tensor? = nil, targetPadding: Tensor? = nil,
        memoryPadding: Tensor? = nil
    ) -> Tensor {
        decoder(
            target, memory: encoder(source, mask: sourceMask, padding: sourcePadding), mask: targetMask,
            memoryMask: memoryMask, padding: targetPadding, memoryPadding: memoryPadding)
    }
}
