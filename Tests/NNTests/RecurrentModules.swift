import NN
import Tensors

/// All elements of several tensors in one vector.
func joined(_ tensors: [Tensor]) -> Tensor { Tensor.concatenate(tensors.map { $0.reshaped(to: [-1]) }) }

/// The cases of recurrent layers: output and states after the last step, one after the other.
let recurrentModules: [String: GoldenModule] = {
    var cases: [String: GoldenModule] = ["rnn.relu": oneState { RNN(4, 3, layers: 2, nonlinearity: .relu) }]
    cases["rnn"] = oneState { RNN(4, 3) }
    cases["rnn.single"] = oneState { RNN(2, 5, bias: false) }
    cases["rnn.deep"] = oneState { RNN(4, 3, layers: 2, bidirectional: true, batchFirst: true) }
    cases["rnn.given"] = oneState { RNN(4, 3, layers: 2, bidirectional: true) }
    cases["rnn.lengths"] = oneState([2, 4, 1]) { RNN(3, 4, layers: 2, bidirectional: true, batchFirst: true) }
    cases["gru"] = oneState { GRU(4, 3) }
    cases["gru.single"] = oneState { GRU(2, 5, bias: false) }
    cases["gru.deep"] = oneState { GRU(4, 3, layers: 2, bidirectional: true, batchFirst: true) }
    cases["gru.given"] = oneState { GRU(4, 3, layers: 2, bidirectional: true) }
    cases["gru.lengths"] = oneState([2, 4, 1]) { GRU(3, 4, layers: 2, bidirectional: true, batchFirst: true) }
    cases["lstm"] = lstm { LSTM(4, 3) }
    cases["lstm.single"] = lstm { LSTM(2, 5, bias: false) }
    cases["lstm.deep"] = lstm { LSTM(4, 3, layers: 2, bidirectional: true, batchFirst: true) }
    cases["lstm.given"] = lstm { LSTM(4, 3, layers: 2, bidirectional: true) }
    cases["lstm.lengths"] = lstm([2, 4, 1]) { LSTM(3, 4, layers: 2, bidirectional: true, batchFirst: true) }
    return cases
}()

/// A recurrent network whose steps hand on one state.
private protocol OneState: Module {
    func callAsFunction(_ input: Tensor, initial: Tensor?, lengths: [Int]?) -> (output: Tensor, state: Tensor)
}
extension RNN: OneState {}
extension GRU: OneState {}

private func oneState<Network: OneState>(
    _ lengths: [Int]? = nil, _ make: @escaping @Sendable () -> Network
) -> GoldenModule {
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
