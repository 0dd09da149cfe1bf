import Lightning

/// The language model of PyTorch Lightning's demos (`lightning.pytorch.demos.Transformer`): encoder and decoder over words.
///
/// Names and shapes are the same, so that state dictionaries are interchangeable. The positional encoding is theirs too: all
/// words get the vector of the position after the last (``PositionalEncoding/Positions/length``).
public final class WordTransformer: Module {
    private let encoding: PositionalEncoding
    private let embedding: Embedding
    private let transformer: Transformer
    private let decoder: Linear
    private let width: Int

    /// A model with PyTorch's initial values.
    ///
    /// - Parameters:
    ///   - vocabulary: How many words there are.
    ///   - width: The size of their vectors.
    ///   - heads: How many attention heads share it.
    ///   - hidden: The width between the two linear maps of a layer.
    ///   - layers: Layers of the encoder, and of the decoder.
    ///   - dropout: What is dropped in training.
    ///   - positions: Which position's vector words get.
    public init(
        vocabulary: Int = 33278, width: Int = 200, heads: Int = 2, hidden: Int = 200, layers: Int = 2,
        dropout: Double = 0.2, positions: PositionalEncoding.Positions = .length
    ) {
        encoding = PositionalEncoding(width, dropout: dropout, positions: positions)
        embedding = Embedding(vocabulary, width)
        transformer = Transformer(
            TransformerSettings(width, heads: heads, feedForward: hidden, dropout: dropout), encoderLayers: layers,
            decoderLayers: layers)
        decoder = Linear(width, vocabulary)
        self.width = width
    }

    /// The names of the demo.
    public override var namedParts: [(name: String, part: Any)] {
        [("pos_encoder", encoding), ("embedding", embedding), ("transformer", transformer), ("decoder", decoder)]
    }

    /// Logarithms of the probabilities of the words after each word of a target.
    ///
    /// - Parameters:
    ///   - inputs: `int64` words `[samples, length]`, which the encoder sees all of.
    ///   - target: `int64` words `[samples, length]`; the decoder sees a word and those before it.
    /// - Returns: `[samples · length, vocabulary]`.
    public func callAsFunction(_ inputs: Tensor, _ target: Tensor) -> Tensor {
        let scale = Double(width).squareRoot()
        let result = transformer(
            encoding(embedding(inputs) * scale), encoding(embedding(target) * scale), targetMask: .causal)
        return decoder(result).logSoftmax().flattened(from: 0, through: 1)
    }
}
