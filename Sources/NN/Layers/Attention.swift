import Tensors

/// Multi-head self-attention over `[batch, length, size]`.
public final class SelfAttention: Module, Layer {
    /// The projection to queries, keys and values side by side, `[3 · size, size]`.
    public let projection: Linear
    /// The projection of the joined heads, `[size, size]`.
    public let output: Linear
    private let heads: Int
    private let isCausal: Bool

    /// Attention of `heads` heads of `size / heads` each.
    ///
    /// - Parameters:
    ///   - size: The width of the model; a multiple of `heads`.
    ///   - heads: How many heads share it.
    ///   - isCausal: Lets a position see only itself and earlier ones.
    ///   - bias: Whether the projections have biases.
    ///   - initializer: First values of both weights; PyTorch's default for linear layers when nil.
    public init(_ size: Int, heads: Int, isCausal: Bool = false, bias: Bool = true, initializer: Initializer? = nil) {
        require(
            heads > 0 && size % heads == 0, "SelfAttention", "a width of \(size) cannot be shared by \(heads) heads")
        projection = Linear(size, 3 * size, bias: bias, initializer: initializer)
        output = Linear(size, size, bias: bias, initializer: initializer)
        self.heads = heads
        self.isCausal = isCausal
    }

    /// Each position's mixture of the values it attends to.
    public func callAsFunction(_ input: Tensor) -> Tensor { observed(input) { attended($0) } }

    private func attended(_ input: Tensor) -> Tensor {
        require(
            input.rank == 3 && input.shape[2] == output.weight.shape[0], "SelfAttention",
            "input \(input.shape) instead of [batch, length, \(output.weight.shape[0])]")
        let batch = input.shape[0], length = input.shape[1], size = input.shape[2]
        let packed = projection(input).reshaped(to: [batch, length, 3, heads, size / heads])
        let mixed = scaledDotProductAttention(packed: packed, isCausal: isCausal)
        return output(mixed.transposed(1, 2).reshaped(to: [batch, length, size]))
    }
}
