import Lightning

/// A classifier of token sequences: embedding, a recurrent network in both directions, and a linear map of its last states.
public final class BidirectionalClassifier: Module, Layer {
    /// The kind of recurrent network.
    public enum Cell: String, Sendable, Codable, CaseIterable {
        /// Long short-term memories.
        case lstm
        /// Gated recurrent units.
        case gru
    }

    private let embedding: Embedding
    private let recurrent: RecurrentNetwork
    private let head: Linear

    /// A network with PyTorch's initial values.
    ///
    /// - Parameters:
    ///   - vocabulary: How many tokens there are.
    ///   - width: The size of their vectors.
    ///   - size: The size of the states of one direction.
    ///   - classes: How many logits come out.
    ///   - cell: The kind of recurrent network.
    ///   - layers: How many layers are stacked.
    ///   - dropout: Share of the states between layers that is dropped in training.
    public init(
        vocabulary: Int, width: Int, size: Int, classes: Int, cell: Cell = .lstm, layers: Int = 1, dropout: Double = 0
    ) {
        embedding = Embedding(vocabulary, width)
        recurrent =
            switch cell {
            case .lstm: LSTM(width, size, layers: layers, bidirectional: true, batchFirst: true, dropout: dropout)
            case .gru: GRU(width, size, layers: layers, bidirectional: true, batchFirst: true, dropout: dropout)
            }
        head = Linear(2 * size, classes)
    }

    /// Logits for whole sequences: `int64` tokens `[samples, length]` to `[samples, classes]`.
    public func callAsFunction(_ tokens: Tensor) -> Tensor { self(tokens, lengths: nil) }

    /// Logits for sequences of different lengths, padded to one: the network sees no padding.
    public func callAsFunction(_ tokens: Tensor, lengths: [Int]?) -> Tensor {
        let vectors = embedding(tokens)
        let states: Tensor
        switch recurrent {
        case let network as LSTM: states = network(vectors, lengths: lengths).state.hidden
        case let network as GRU: states = network(vectors, lengths: lengths).state
        default: fatalError("\(recurrent) is neither an LSTM nor a GRU")
        }
        let last = states.shape[0] - 1
        return head(Tensor.concatenate([states[last - 1], states[last]], along: 1))
    }
}
