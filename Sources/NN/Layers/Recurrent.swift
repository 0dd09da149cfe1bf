import Tensors

/// A recurrent network without gates: h = tanh(x · W + b + h · U + c), or with a rectifier (Elman, 1990).
public final class RNN: RecurrentNetwork {
    /// What is applied to the sum.
    public enum Nonlinearity: String, Sendable, Codable, CaseIterable {
        /// The hyperbolic tangent.
        case tanh
        /// max(x, 0).
        case relu
    }

    /// A network with PyTorch's initial values: within ±1/√size.
    ///
    /// - Parameters:
    ///   - inputs: The last extent of inputs.
    ///   - size: The last extent of states.
    ///   - layers: How many layers are stacked; each reads the output of the one below.
    ///   - bidirectional: Adds to each layer one that goes from the last step to the first; outputs lie side by side.
    ///   - batchFirst: Input and output are `[batch, steps, …]` instead of `[steps, batch, …]`; states are not.
    ///   - dropout: The share of each layer's output, but the last's, that is dropped in training.
    ///   - bias: Whether there are biases.
    ///   - nonlinearity: What is applied to the sum.
    public init(
        _ inputs: Int, _ size: Int, layers: Int = 1, bidirectional: Bool = false, batchFirst: Bool = false,
        dropout: Double = 0, bias: Bool = true, nonlinearity: Nonlinearity = .tanh
    ) {
        super.init(
            nonlinearity == .tanh ? .tanh : .relu, inputs, size, layers: layers, bidirectional: bidirectional,
            batchFirst: batchFirst, dropout: dropout, bias: bias)
    }

    /// Walks over the steps.
    ///
    /// - Parameters:
    ///   - input: `[steps, batch, inputs]`, or `[batch, steps, inputs]` with `batchFirst`.
    ///   - initial: `[layers · directions, batch, size]`; zeros when nil.
    ///   - lengths: How many steps each row of the batch has, in any order; all when nil. Outputs beyond are 0.
    /// - Returns: The last layer's state at every step, `[…, …, outputSize]`, and all layers' states after a row's last
    ///   step (of the second direction: its first), `[layers · directions, batch, size]`.
    public func callAsFunction(
        _ input: Tensor, initial: Tensor? = nil, lengths: [Int]? = nil
    ) -> (output: Tensor, state: Tensor) {
        let (output, states, _) = walk(input, state: initial, memory: nil, lengths: lengths)
        return (output, states)
    }
}

/// A network of gated recurrent units (Cho et al., 2014), in the form of cuDNN and PyTorch: the reset gate is applied after
/// the product.
public final class GRU: RecurrentNetwork {
    /// A network with PyTorch's initial values: within ±1/√size.
    ///
    /// - Parameters:
    ///   - inputs: The last extent of inputs.
    ///   - size: The last extent of states.
    ///   - layers: How many layers are stacked; each reads the output of the one below.
    ///   - bidirectional: Adds to each layer one that goes from the last step to the first; outputs lie side by side.
    ///   - batchFirst: Input and output are `[batch, steps, …]` instead of `[steps, batch, …]`; states are not.
    ///   - dropout: The share of each layer's output, but the last's, that is dropped in training.
    ///   - bias: Whether there are biases.
    public init(
        _ inputs: Int, _ size: Int, layers: Int = 1, bidirectional: Bool = false, batchFirst: Bool = false,
        dropout: Double = 0, bias: Bool = true
    ) {
        super.init(
            .gru, inputs, size, layers: layers, bidirectional: bidirectional, batchFirst: batchFirst, dropout: dropout,
            bias: bias)
    }

    /// Walks over the steps.
    ///
    /// - Parameters:
    ///   - input: `[steps, batch, inputs]`, or `[batch, steps, inputs]` with `batchFirst`.
    ///   - initial: `[layers · directions, batch, size]`; zeros when nil.
    ///   - lengths: How many steps each row of the batch has, in any order; all when nil. Outputs beyond are 0.
    /// - Returns: The last layer's state at every step, `[…, …, outputSize]`, and all layers' states after a row's last
    ///   step (of the second direction: its first), `[layers · directions, batch, size]`.
    public func callAsFunction(
        _ input: Tensor, initial: Tensor? = nil, lengths: [Int]? = nil
    ) -> (output: Tensor, state: Tensor) {
        let (output, states, _) = walk(input, state: initial, memory: nil, lengths: lengths)
        return (output, states)
    }
}

/// A network of long short-term memories (Hochreiter & Schmidhuber, 1997; with forget gates: Gers et al., 2000).
public final class LSTM: RecurrentNetwork {
    /// What goes from step to step: hidden and cell states, each `[layers · directions, batch, size]`.
    public typealias State = (hidden: Tensor, cell: Tensor)

    /// A network with PyTorch's initial values: within ±1/√size.
    ///
    /// - Parameters:
    ///   - inputs: The last extent of inputs.
    ///   - size: The last extent of states.
    ///   - layers: How many layers are stacked; each reads the output of the one below.
    ///   - bidirectional: Adds to each layer one that goes from the last step to the first; outputs lie side by side.
    ///   - batchFirst: Input and output are `[batch, steps, …]` instead of `[steps, batch, …]`; states are not.
    ///   - dropout: The share of each layer's output, but the last's, that is dropped in training.
    ///   - bias: Whether there are biases.
    public init(
        _ inputs: Int, _ size: Int, layers: Int = 1, bidirectional: Bool = false, batchFirst: Bool = false,
        dropout: Double = 0, bias: Bool = true
    ) {
        super.init(
            .lstm, inputs, size, layers: layers, bidirectional: bidirectional, batchFirst: batchFirst,
            dropout: dropout, bias: bias)
    }

    /// Walks over the steps.
    ///
    /// - Parameters:
    ///   - input: `[steps, batch, inputs]`, or `[batch, steps, inputs]` with `batchFirst`.
    ///   - initial: Hidden and cell states before the first step; zeros when nil.
    ///   - lengths: How many steps each row of the batch has, in any order; all when nil. Outputs beyond are 0.
    /// - Returns: The last layer's hidden state at every step, `[…, …, outputSize]`, and all layers' states after a row's
    ///   last step (of the second direction: its first).
    public func callAsFunction(
        _ input: Tensor, initial: State? = nil, lengths: [Int]? = nil
    ) -> (output: Tensor, state: State) {
        let (output, hidden, cell) = walk(input, state: initial?.hidden, memory: initial?.cell, lengths: lengths)
        return (output, (hidden, cell ?? hidden))
    }
}
