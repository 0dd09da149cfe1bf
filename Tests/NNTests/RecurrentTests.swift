import NN
import Tensors
import TestSupport
import Testing

/// What the golden numbers of recurrent layers leave open: gradients in double precision, lengths, dropout, bfloat16.
struct RecurrentTests {
    private static let cells: [RecurrentCell] = [.tanh, .relu, .lstm, .gru]

    @Test(arguments: cells, [false, true]) func gradientsAgreeWithFiniteDifferences(
        cell: RecurrentCell, isReversed: Bool
    ) {
        let (steps, batch, size) = (4, 3, 2), columns = cell.gates * size
        let inputs = [
            sampleValues([steps, batch, columns]), sampleValues([columns, size], seed: 1),
            sampleValues([columns], seed: 2), sampleValues([batch, size], seed: 3),
            sampleValues([batch, size], seed: 4),
        ]
        let arguments = cell == .lstm ? inputs : Array(inputs.dropLast())
        for lengths in [nil, Tensor([Int64(2), 4, 1])] {
            checkGradient(
                of: {
                    $0[0].recurrence(
                        cell, weight: $0[1], bias: $0[2], state: $0[3], memory: cell == .lstm ? $0[4] : nil,
                        lengths: lengths, isReversed: isReversed)
                }, at: arguments, layouts: [.contiguous, .transposed],
                "\(cell), reversed \(isReversed), lengths \(lengths != nil)")
        }
    }

    /// A row with a length is that row by itself, cut off there.
    @Test func rowsOfTheirOwnLength() throws {
        let lengths = [3, 5, 1, 2]
        let input = sampleValues([4, 5, 3], dtype: .float32)
        let network = LSTM(3, 4, layers: 2, bidirectional: true, batchFirst: true)
        let (output, state) = network(input, lengths: lengths)
        #expect(output.shape == [4, 5, 8] && state.hidden.shape == [4, 4, 4])
        for (row, length) in lengths.enumerated() {
            let alone = network(input.slice(row..<(row + 1)).slice(0..<length, along: 1))
            expectClose(output[row].slice(0..<length), alone.output[0], relative: 1e-6, absolute: 1e-7)
            #expect(output[row].slice(length..<5).doubles.allSatisfy { $0 == 0 })
            expectClose(state.hidden.select(row, along: 1), alone.state.hidden.select(0, along: 1), relative: 1e-6)
            expectClose(state.cell.select(row, along: 1), alone.state.cell.select(0, along: 1), relative: 1e-6)
        }
    }

    /// A sequence in two halves, the state handed on, is the sequence.
    @Test func statesAreHandedOn() {
        let input = sampleValues([6, 2, 3], dtype: .float32)
        let network = GRU(3, 4, layers: 2)
        let (whole, last) = network(input)
        let (first, middle) = network(input[0..<2])
        let (second, end) = network(input[2..<6], initial: middle)
        expectClose(Tensor.concatenate([first, second]), whole, relative: 1e-6, absolute: 1e-7)
        expectClose(end, last, relative: 1e-6, absolute: 1e-7)
    }

    @Test func dropoutIsBetweenLayersInTraining() {
        let input = sampleValues([3, 2, 4], dtype: .float32)
        func outputs(_ layers: Int, training: Bool) -> [Tensor] {
            let network = RNN(4, 32, layers: layers, dropout: 0.5)
            network.train(training)
            return (0..<2).map { _ in network(input).output }
        }
        let evaluated = outputs(2, training: false), single = outputs(1, training: true)
        expectSameBits(evaluated[0], evaluated[1])
        expectSameBits(single[0], single[1])
        let trained = outputs(2, training: true)
        #expect(trained[0].doubles != trained[1].doubles)
    }

    @Test func bfloat16IsFloat32Rounded() {
        let network = LSTM(8, 16, bidirectional: true)
        let input = sampleValues([5, 3, 8], dtype: .float32)
        let exact = network(input).output
        network.convert(to: .bfloat16)
        let rounded = network(input.converted(to: .bfloat16)).output
        #expect(rounded.dtype == .bfloat16)
        expectClose(rounded.converted(to: .float32), exact, relative: 0, absolute: 0.02)
        rounded.sum().backward()
        #expect(network.parameters.allSatisfy { $0.gradient?.isFinite ?? false })
    }

    @Test func namesAndShapes() {
        let network = GRU(5, 3, layers: 2, bidirectional: true)
        #expect(network.namedParameters.count == 16)
        let shapes = Dictionary(uniqueKeysWithValues: network.namedParameters.map { ($0.name, $0.parameter.shape) })
        #expect(shapes["weight_ih_l0"] == [9, 5] && shapes["weight_ih_l1_reverse"] == [9, 6])
        #expect(shapes["weight_hh_l1"] == [9, 3] && shapes["bias_hh_l0_reverse"] == [9])
        #expect(network.outputSize == 6)
        #expect(LSTM(5, 3, bias: false).namedParameters.map(\.name) == ["weight_ih_l0", "weight_hh_l0"])
    }

    @Test func misuseStopsWithShapes() async throws {
        let input = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = GRU(3, 4, batchFirst: true)(Tensor.zeros([2, 5, 4]))
        }
        #expect(text(input).contains("RecurrentNetwork: input [2, 5, 4] instead of [batch, steps, 3]"))
        let state = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = GRU(3, 4, layers: 2)(Tensor.zeros([5, 2, 3]), initial: Tensor.zeros([1, 2, 4]))
        }
        #expect(text(state).contains("initial state [1, 2, 4] instead of [2, 2, 4]"))
        let lengths = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = GRU(3, 4)(Tensor.zeros([5, 2, 3]), lengths: [5, 0])
        }
        #expect(text(lengths).contains("lengths [5, 0] for 2 rows; each is 1 … 5"))
    }

    private func text(_ result: ExitTest.Result?) -> String {
        String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    }
}
