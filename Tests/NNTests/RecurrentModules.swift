import NN
import Tensors

/// All elements of several tensors in one vector.
func joined(_ tensors: [Tensor]) -> Tensor { Tensor.concatenate(tensors.map { $0.reshaped(to: [-1]) }) }

/// The cases of recurrent layers: output and states after the last step, one after the other.
let recurrentModules: [String: GoldenModule] = {
    var cases: [String: GoldenModule] = ["rnn.relu": rnn { RNN(4, 3, layers: 2, nonlinearity: .relu) }]
    cases["rnn"] = rnn { RNN(4, 3) }
    cases["rnn.single"] = rnn { RNN(2, 5, bias: false) }
    cases["rnn.deep"] = rnn { RNN(4, 3, layers: 2, bidirectional: true, batchFirst: true) }
    cases["rnn.given"] = rnn { RNN(4, 3, layers: 2, bidirectional: true) }
    cases["rnn.lengths"] = rnn([2, 4, 1]) { RNN(3, 4, layers: 2, bidirectional: true, batchFirst: true) }
    cases["gru"] = gru { GRU(4, 3) }
    cases["gru.single"] = gru { GRU(2, 5, bias: false) }
    cases["gru.deep"] = gru { GRU(4, 3, layers: 2, bidirectional: true, batchFirst: true) }
    cases["gru.given"] = gru { GRU(4, 3, layers: 2, bidirectional: true) }
    cases["gru.lengths"] = gru([2, 4, 1]) { GRU(3, 4, layers: 2, bidirectional: true, batchFirst: true) }
    cases["lstm"] = lstm { LSTM(4, 3) }
    cases["lstm.single"] = lstm { LSTM(2, 5, bias: false) }
    cases["lstm.deep"] = lstm { LSTM(4, 3, layers: 2, bidirectional: true, batchFirst: true) }
    cases["lstm.given"] = lstm { LSTM(4, 3, layers: 2, bidirectional: true) }
    cases["lstm.lengths"] = lstm([2, 4, 1]) { LSTM(3, 4, layers: 2, bidirectional: true, batchFirst: true) }
    return cases
}()

private func rnn(_ lengths: [Int]? = nil, _ make: @escaping @Sendable () -> RNN) -> GoldenModule {
    GoldenModule(pair: {
        let network = make()
        return (
            network,
            {
                let (output, state) = network($0[0], initial: $0.count > 1 ? $0[1] : nil, lengths: lengths)
                return joined([output, state])
            }
        )
    })
}

private func gru(_ lengths: [Int]? = nil, _ make: @escaping @Sendable () -> GRU) -> GoldenModule {
    GoldenModule(pair: {
        let network = make()
        return (
            network,
            {
                let (output, state) = network($0[0], initial: $0.count > 1 ? $0[1] : nil, lengths: lengths)
                return joined([output, state])
            }
        )
    })
}

private func lstm(_ lengths: [Int]? = nil, _ make: @escaping @Sendable () -> LSTM) -> GoldenModule {
    GoldenModule(pair: {
        let network = make()
        return (
            network,
            {
                let initial = $0.count > 1 ? ($0[1], $0[2]) : nil
                let (output, state) = network($0[0], initial: initial, lengths: lengths)
                return joined([output, state.hidden, state.cell])
            }
        )
    })
}
