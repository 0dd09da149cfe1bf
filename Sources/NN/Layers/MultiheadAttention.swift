import Tensors

/// What the queries of an attention may see.
public enum AttentionMask: Sendable {
    /// All keys.
    case none
    /// Keys up to the query's own position.
    case causal
    /// All keys, with this added to the scores: `[queries, keys]`, or what can be broadcast to `[batch, heads, queries,
    /// keys]`; −∞ hides a key.
    case adding(Tensor)
    /// Keys where this `uint8` mask is 0: `[queries, keys]`, or what can be broadcast to `[batch, heads, queries, keys]`.
    case hiding(Tensor)

    /// What is added to scores, nil for nothing.
    fileprivate func added(queries: Int, keys: Int, dtype: DType) -> Tensor? {
        switch self {
        case .none: return nil
        case .adding(let scores): return scores.converted(to: dtype)
        case .hiding(let mask): return Self.scores(hiding: mask, dtype)
        case .causal:
            let last = Tensor.range(queries) + Tensor(scalar: Double(keys - queries), dtype: .int64)
            return Self.scores(hiding: Tensor.range(keys) .> last.expandingDimension(at: 1), dtype)
        }
    }

    /// −∞ where a mask is 1.
    fileprivate static func scores(hiding mask: Tensor, _ dtype: DType) -> Tensor {
        Tensor.select(where: mask, Tensor(scalar: -.infinity, dtype: dtype), Tensor(scalar: 0, dtype: dtype))
    }
}

/// Multi-head attention between two sequences, or of one to itself, with PyTorch's names of parameters.
///
/// Vaswani et al., "Attention Is All You Need", 2017. Sequences are `[batch, length, size]`. Without mask or with the causal
/// one, and without dropout, scores are never in memory together.
public final class MultiheadAttention: Module {
    /// The projections to queries, keys and values one below the other, `[3 · size, size]`; called `in_proj_weight`.
    public let inputWeight: Parameter
    /// `[3 · size]`, or nil; called `in_proj_bias`.
    public let inputBias: Parameter?
    /// The projection of the joined heads, `[size, size]`; called `out_proj`.
    public let output: Linear
    private let size, heads: Int
    private let dropout: Double

    /// Attention of `heads` heads of `size / heads` each, with PyTorch's initial values.
    ///
    /// - Parameters:
    ///   - size: The width of the model; a multiple of `heads`.
    ///   - heads: How many heads share it.
    ///   - dropout: The share of attention weights that is dropped in training.
    ///   - bias: Whether the projections have biases, zeros at first.
    public init(_ size: Int, heads: Int, dropout: Double = 0, bias: Bool = true) {
        require(
            heads > 0 && size > 0 && size % heads == 0, "MultiheadAttention",
            "a width of \(size) cannot be shared by \(heads) heads")
        require(dropout >= 0 && dropout < 1, "MultiheadAttention", "a dropout of \(dropout); it is in 0 ..< 1")
        inputWeight = Parameter(Initializer.xavierUniform(inputs: size, outputs: 3 * size)([3 * size, size]))
        inputBias = bias ? Parameter(.zeros([3 * size])) : nil
        output = Linear(size, size, bias: bias)
        output.bias?.assign(.zeros([size]))
        self.size = size
        self.heads = heads
        self.dropout = dropout
    }

    /// PyTorch's names.
    public override var namedParts: [(name: String, part: Any)] {
        var parts: [(name: String, part: Any)] = [("in_proj_weight", inputWeight)]
        if let inputBias { parts.append(("in_proj_bias", inputBias)) }
        return parts + [("out_proj", output)]
    }

    /// Each position's mixture of the values of its own sequence.
    ///
    /// - Parameters:
    ///   - input: `[batch, length, size]`.
    ///   - mask: What positions may see.
    ///   - padding: `[batch, length]` as `uint8`: 1 at positions that nobody sees.
    public func callAsFunction(_ input: Tensor, mask: AttentionMask = .none, padding: Tensor? = nil) -> Tensor {
        requireSequence(input)
        let packed = input.linear(weight: inputWeight.value, bias: inputBias?.value)
            .reshaped(to: [input.shape[0], input.shape[1], 3, heads, size / heads])
        if padding == nil, !drops {
            switch mask {
            case .none: return joined(scaledDotProductAttention(packed: packed))
            case .causal: return joined(scaledDotProductAttention(packed: packed, isCausal: true))
            case .adding, .hiding: break
            }
        }
        let parts = (0..<3).map { packed.select($0, along: 2).transposed(1, 2) }
        return attend(parts[0], parts[1], parts[2], mask, padding)
    }

    /// Each query's mixture of the values of another sequence.
    ///
    /// - Parameters:
    ///   - query: `[batch, queries, size]`.
    ///   - key: `[batch, keys, size]`, by which queries choose.
    ///   - value: `[batch, keys, size]`, what they get.
    ///   - mask: What queries may see.
    ///   - padding: `[batch, keys]` as `uint8`: 1 at keys that nobody sees.
    public func callAsFunction(
        query: Tensor, key: Tensor, value: Tensor, mask: AttentionMask = .none, padding: Tensor? = nil
    ) -> Tensor {
        let parts = [query, key, value].enumerated().map { index, input in
            requireSequence(input)
            let range = (index * size)..<((index + 1) * size)
            return input.linear(weight: inputWeight.value[range], bias: inputBias.map { $0.value[range] })
                .reshaped(to: [input.shape[0], input.shape[1], heads, size / heads]).transposed(1, 2)
        }
        return attend(parts[0], parts[1], parts[2], mask, padding)
    }

    private var drops: Bool { isTraining && dropout > 0 }

    private func attend(
        _ query: Tensor, _ key: Tensor, _ value: Tensor, _ mask: AttentionMask, _ padding: Tensor?
    ) -> Tensor {
        if padding == nil, !drops {
            switch mask {
            case .none: return joined(scaledDotProductAttention(query: query, key: key, value: value))
            case .causal:
                return joined(scaledDotProductAttention(query: query, key: key, value: value, isCausal: true))
            case .adding, .hiding: break
            }
        }
        var scores = mask.added(queries: query.shape[2], keys: key.shape[2], dtype: query.dtype)
        if let padding {
            require(
                padding.shape == [key.shape[0], key.shape[2]], "MultiheadAttention",
                "padding \(padding.shape) for \(key.shape[0]) sequences of \(key.shape[2]) keys")
            let hidden = AttentionMask.scores(hiding: padding, query.dtype)
                .reshaped(to: [key.shape[0], 1, 1, key.shape[2]])
            scores = scores.map { $0 + hidden } ?? hidden
        }
        return joined(
            scaledDotProductAttention(
                query: query, key: key, value: value, mask: scores, dropout: drops ? dropout : 0))
    }

    /// The heads side by side, projected.
    private func joined(_ mixed: Tensor) -> Tensor {
        output(mixed.transposed(1, 2).reshaped(to: [mixed.shape[0], mixed.shape[2], size]))
    }

    private func requireSequence(_ input: Tensor) {
        require(
            input.rank == 3 && input.shape[2] == size, "MultiheadAttention",
            "input \(input.shape) instead of [batch, length, \(size)]")
    }
}
