import Lightning

/// The network of the document's samples, `lightning.pytorch.demos.Transformer`: an encoder of the inputs and a decoder
/// of the target (Vaswani et al., "Attention Is All You Need", 2017; norms after the sums).
///
/// Its layers are those of torch's `nn.Transformer`. As in the demo the decoder sees the target itself, each position up
/// to its own: so the samples' loss is that of copying, and falls far below what words can be foretold with. Unlike in
/// the demo each position has an encoding of its own; there one serves all.
public final class DemoTransformer: Module {
    private let width: Int
    private let vocabularySize: Int
    private let embedding: Embedding
    private let dropout: Dropout
    private let encoder: [EncoderLayer]
    private let encoderNorm: LayerNorm
    private let decoder: [DecoderLayer]
    private let decoderNorm: LayerNorm
    private let output: Linear

    /// The network, with the demo's sizes.
    public init(
        vocabularySize: Int = 33_278, width: Int = 200, heads: Int = 2, hidden: Int = 200, layers: Int = 2,
        dropout: Double = 0.2
    ) {
        self.width = width
        self.vocabularySize = vocabularySize
        embedding = Embedding(vocabularySize, width)
        self.dropout = Dropout(dropout)
        encoder = (0..<layers).map { _ in EncoderLayer(width, heads: heads, hidden: hidden, dropout: dropout) }
        encoderNorm = LayerNorm(width)
        decoder = (0..<layers).map { _ in DecoderLayer(width, heads: heads, hidden: hidden, dropout: dropout) }
        decoderNorm = LayerNorm(width)
        output = Linear(width, vocabularySize)
    }

    /// Log-probabilities of the words at the positions of the target.
    ///
    /// - Parameters:
    ///   - inputs: Words that the encoder reads, `int64 [samples, length]`.
    ///   - target: Words that the decoder reads, each position those up to its own, `int64 [samples, length]`.
    /// - Returns: `[samples · length, vocabulary]`.
    public func callAsFunction(_ inputs: Tensor, _ target: Tensor) -> Tensor {
        var memory = embedded(inputs), decoded = embedded(target)
        for layer in encoder { memory = layer(memory) }
        memory = encoderNorm(memory)
        for layer in decoder { decoded = layer(decoded, memory) }
        return output(decoderNorm(decoded)).logSoftmax().reshaped(to: [-1, vocabularySize])
    }

    private func embedded(_ words: Tensor) -> Tensor {
        let vectors = embedding(words) * Double(width).squareRoot()
        return dropout(vectors + positions(words.shape[1]).converted(to: vectors.dtype))
    }

    /// Sines and cosines of the position, with wavelengths from 2π to 20,000π, `[length, width]`.
    private func positions(_ length: Int) -> Tensor {
        let place = Tensor.range(length, dtype: .float32).expandingDimension(at: 1)
        let frequencies = (Tensor.range(width / 2, dtype: .float32) * (-2 * naturalLogarithmOf10000 / Double(width)))
            .exp()
        let angles = place * frequencies
        return Tensor.stack([angles.sin(), angles.cos()], along: 2).reshaped(to: [length, width])
    }
}

private let naturalLogarithmOf10000 = 9.210340371976184

/// Each position's mixture of what it attends to, by several heads.
private final class Attention: Module {
    private let query: Linear
    private let key: Linear
    private let value: Linear
    private let output: Linear
    private let heads: Int

    init(_ width: Int, heads: Int) {
        (query, key, value) = (Linear(width, width), Linear(width, width), Linear(width, width))
        output = Linear(width, width)
        self.heads = heads
    }

    func callAsFunction(_ input: Tensor, to memory: Tensor, isCausal: Bool = false) -> Tensor {
        let mixed = scaledDotProductAttention(
            query: split(query(input)), key: split(key(memory)), value: split(value(memory)), isCausal: isCausal)
        return output(mixed.transposed(1, 2).reshaped(to: input.shape))
    }

    private func split(_ vectors: Tensor) -> Tensor {
        let shape = vectors.shape
        return vectors.reshaped(to: [shape[0], shape[1], heads, shape[2] / heads]).transposed(1, 2)
    }
}

/// The two-layer perceptron of each position.
private final class FeedForward: Module {
    private let up: Linear
    private let down: Linear
    private let dropout: Dropout

    init(_ width: Int, hidden: Int, dropout: Double) {
        (up, down) = (Linear(width, hidden), Linear(hidden, width))
        self.dropout = Dropout(dropout)
    }

    func callAsFunction(_ input: Tensor) -> Tensor { down(dropout(up(input).relu())) }
}

/// Attention of the inputs to themselves, then the perceptron.
private final class EncoderLayer: Module {
    private let attention: Attention
    private let feedForward: FeedForward
    private let norms: [LayerNorm]
    private let dropout: Dropout

    init(_ width: Int, heads: Int, hidden: Int, dropout: Double) {
        attention = Attention(width, heads: heads)
        feedForward = FeedForward(width, hidden: hidden, dropout: dropout)
        norms = [LayerNorm(width), LayerNorm(width)]
        self.dropout = Dropout(dropout)
    }

    func callAsFunction(_ input: Tensor) -> Tensor {
        let x = norms[0](input + dropout(attention(input, to: input)))
        return norms[1](x + dropout(feedForward(x)))
    }
}

/// Attention of the target to what it has had so far, then to the encoded inputs, then the perceptron.
private final class DecoderLayer: Module {
    private let ownAttention: Attention
    private let attention: Attention
    private let feedForward: FeedForward
    private let norms: [LayerNorm]
    private let dropout: Dropout

    init(_ width: Int, heads: Int, hidden: Int, dropout: Double) {
        ownAttention = Attention(width, heads: heads)
        attention = Attention(width, heads: heads)
        feedForward = FeedForward(width, hidden: hidden, dropout: dropout)
        norms = [LayerNorm(width), LayerNorm(width), LayerNorm(width)]
        self.dropout = Dropout(dropout)
    }

    func callAsFunction(_ target: Tensor, _ memory: Tensor) -> Tensor {
        var x = norms[0](target + dropout(ownAttention(target, to: target, isCausal: true)))
        x = norms[1](x + dropout(attention(x, to: memory)))
        return norms[2](x + dropout(feedForward(x)))
    }
}
