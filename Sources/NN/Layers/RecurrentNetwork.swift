import Tensors

/// What ``RNN``, ``LSTM`` and ``GRU`` share: layers and directions, their weights, and the walk over the steps.
///
/// Weights have the names, shapes and first values of PyTorch: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`,
/// `bias_hh_l0`, those of the second direction with `_reverse` at the end.
///
/// The products of all inputs of a layer are one product, and each step is one more with one pass over the gates, in one
/// operation of the gradient graph (``Tensor/recurrence(_:weight:bias:state:memory:lengths:isReversed:)``).
public class RecurrentNetwork: Module {
    /// The weights of one direction of one layer.
    private struct Weights {
        let input, state: Parameter
        let inputBias, stateBias: Parameter?
    }

    /// The last extent of the states.
    public let size: Int
    /// How many layers are stacked.
    public let layers: Int
    /// Whether each layer also goes from the last step to the first.
    public let isBidirectional: Bool
    private let cell: RecurrentCell
    private let batchFirst: Bool
    private let dropout: Double
    /// By layer, then by direction.
    private let weights: [[Weights]]

    /// The last extent of the output.
    public final var outputSize: Int { size * directions }
    private var directions: Int { isBidirectional ? 2 : 1 }

    init(
        _ cell: RecurrentCell, _ inputs: Int, _ size: Int, layers: Int, bidirectional: Bool, batchFirst: Bool,
        dropout: Double, bias: Bool
    ) {
        require(
            inputs > 0 && size > 0 && layers > 0, "RecurrentNetwork",
            "\(inputs) inputs, states of size \(size), \(layers) layers; at least one of each is needed")
        require(
            dropout >= 0 && dropout < 1, "RecurrentNetwork", "a dropout of \(dropout); it is in 0 ..< 1")
        self.cell = cell
        self.size = size
        self.layers = layers
        isBidirectional = bidirectional
        self.batchFirst = batchFirst
        self.dropout = dropout
        let directions = bidirectional ? 2 : 1
        let initializer = Initializer.fanIn(size), rows = cell.gates * size
        weights = (0..<layers).map { layer in
            (0..<directions).map { _ in
                Weights(
                    input: Parameter(initializer([rows, layer == 0 ? inputs : size * directions])),
                    state: Parameter(initializer([rows, size])),
                    inputBias: bias ? Parameter(initializer([rows])) : nil,
                    stateBias: bias ? Parameter(initializer([rows])) : nil)
            }
        }
    }

    /// The weights under PyTorch's names.
    public final override var namedParts: [(name: String, part: Any)] {
        var parts: [(name: String, part: Any)] = []
        for (layer, directions) in weights.enumerated() {
            for (direction, weights) in directions.enumerated() {
                let suffix = "_l\(layer)" + (direction == 1 ? "_reverse" : "")
                parts.append(("weight_ih" + suffix, weights.input))
                parts.append(("weight_hh" + suffix, weights.state))
                if let bias = weights.inputBias { parts.append(("bias_ih" + suffix, bias)) }
                if let bias = weights.stateBias { parts.append(("bias_hh" + suffix, bias)) }
            }
        }
        return parts
    }

    /// The output at every step, and the states of every layer and direction after the last step that it takes.
    final func walk(
        _ input: Tensor, state: Tensor?, memory: Tensor?, lengths: [Int]?
    ) -> (output: Tensor, states: Tensor, memories: Tensor?) {
        requireInput(input, states: [state, memory])
        var steps = (batchFirst ? input.transposed(0, 1) : input).contiguous()
        let count = steps.shape[0], batch = steps.shape[1]
        let ends = lengths.map { endOfRows($0, steps: count, batch: batch) }
        let mask = ends.map { ends in
            (Tensor.range(count).expandingDimension(at: 1) .< ends).expandingDimension(at: 2)
                .converted(to: input.dtype)
        }
        let zeros = Tensor.zeros([batch, size], dtype: input.dtype)
        var states: [Tensor] = [], memories: [Tensor] = []
        for (layer, weights) in weights.enumerated() {
            if layer > 0, dropout > 0, isTraining { steps = steps.droppedOut(dropout) }
            let outputs = weights.enumerated().map { direction, weights in
                let index = layer * directions + direction
                let all = steps.linear(weight: weights.input.value, bias: weights.inputBias?.value).recurrence(
                    cell, weight: weights.state.value, bias: weights.stateBias?.value, state: state?[index] ?? zeros,
                    memory: cell == .lstm ? memory?[index] ?? zeros : nil, lengths: ends, isReversed: direction == 1)
                if cell == .lstm { memories.append(all[count]) }
                states.append(all[direction == 1 ? 0 : count - 1])
                let output = cell == .lstm ? all[0..<count] : all
                // A row that has ended keeps its state, so that the last one is there; its output is 0.
                return mask.map { output * $0 } ?? output
            }
            steps = outputs.count == 1 ? outputs[0] : Tensor.concatenate(outputs, along: -1)
        }
        return (
            batchFirst ? steps.transposed(0, 1) : steps, Tensor.stack(states),
            memories.isEmpty ? nil : Tensor.stack(memories)
        )
    }

    private func requireInput(_ input: Tensor, states: [Tensor?]) {
        let inputs = weights[0][0].input.shape[1]
        require(
            input.rank == 3 && input.shape[2] == inputs && input.shape[batchFirst ? 1 : 0] > 0, "RecurrentNetwork",
            "input \(input.shape) instead of \(batchFirst ? "[batch, steps" : "[steps, batch"), \(inputs)]")
        let wanted: Shape = [layers * directions, input.shape[batchFirst ? 0 : 1], size]
        for state in states {
            guard let state else { continue }
            require(state.shape == wanted, "RecurrentNetwork", "initial state \(state.shape) instead of \(wanted)")
        }
    }

    private func endOfRows(_ lengths: [Int], steps: Int, batch: Int) -> Tensor {
        require(
            lengths.count == batch && lengths.allSatisfy { 1...steps ~= $0 }, "RecurrentNetwork",
            "lengths \(lengths) for \(batch) rows; each is 1 … \(steps)")
        return Tensor(lengths.map { Int64($0) }, shape: [batch])
    }
}
