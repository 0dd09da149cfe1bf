import Tensors

/// Windows of a long sequence of token ids: inputs and the tokens that follow them.
public struct TokenWindowDataset: Dataset {
    private let tokens: Tensor
    private let context: Int

    /// Windows of `context` tokens side by side over `tokens` (`[length]`, `uint8` or `int64`).
    ///
    /// - Precondition: there are at least `context + 1` tokens.
    public init(_ tokens: Tensor, context: Int) {
        require(
            tokens.rank == 1 && !tokens.dtype.isFloatingPoint && context > 0 && tokens.elementCount > context,
            "TokenWindowDataset", "tokens \(tokens.dtype) \(tokens.shape) for windows of \(context)")
        self.tokens = tokens.detached.contiguous()
        self.context = context
    }

    /// The number of whole windows.
    public var count: Int { (tokens.elementCount - 1) / context }
    /// True.
    public var isInMemory: Bool { true }

    /// `[windows, context]` of inputs and of the tokens one further, as `int64`.
    public func batch(at indices: [Int]) -> LabeledBatch {
        let parts = { (shift: Int) in
            Tensor.stack(indices.map { tokens.slice(($0 * context + shift)..<(($0 + 1) * context + shift)) })
                .converted(to: .int64)
        }
        return LabeledBatch(inputs: parts(0), labels: parts(1))
    }
}
