import Tensors
import TestSupport
import Testing

/// Operations that go through their operands in blocks, at the edges of blocks, against the same thing done at once.
struct BlockedOperationTests {
    /// Whole numbers so small that sums of their products are exact in `float32`, in any order.
    private func wholeNumbers(_ shape: Shape, _ seed: Int) -> Tensor {
        Tensor((0..<shape.elementCount).map { Float(($0 * 7 + $0 / 13 * 5 + seed) % 17 - 8) }, shape: shape)
    }

    private func expectSame(_ actual: Tensor, _ expected: Tensor, _ name: String) {
        #expect(actual.shape == expected.shape && actual.doubles == expected.doubles, "\(name)")
    }

    @Test func productsOfEveryTileAndPanel() {
        for rows in [31, 32, 45, 120, 700] {
            for columns in [32, 96, 129, 320, 1_056] {
                for inner in [32, 51, 513, 1_030] where rows * columns * inner < 60_000_000 {
                    let a = wholeNumbers([rows, inner], 1), b = wholeNumbers([inner, columns], 2)
                    let expected = a.converted(to: .float64).matmul(b.converted(to: .float64))
                    let name = "\(rows)×\(columns)×\(inner)"
                    expectSame(a.matmul(b), expected, name)
                    expectSame(a.matmul(b.transposed().copied().transposed()), expected, name + ", B transposed")
                    expectSame(a.transposed().copied().transposed().matmul(b), expected, name + ", A transposed")
                    // Cut out of wider matrices.
                    let wide = Tensor.concatenate([a, a], along: 1).slice(0..<inner, along: 1)
                    let broad = Tensor.concatenate([b, b], along: 1).slice(columns..<2 * columns, along: 1)
                    expectSame(wide.matmul(broad), expected, name + ", slices")
                    let bias = wholeNumbers([columns], 3)
                    expectSame(
                        a.linear(weight: b.transposed(), bias: bias), expected + bias.converted(to: .float64),
                        name + ", bias")
                }
            }
        }
    }

    @Test func productsAddedToAGradient() {
        // The second product finds the first one's result in the parameter's gradient.
        let weight = Parameter(wholeNumbers([64, 96], 1)), x = wholeNumbers([80, 64], 2)
        let result = x.matmul(weight.value) + x.matmul(weight.value)
        result.backward(gradient: wholeNumbers([80, 96], 3))
        let expected = x.converted(to: .float64).transposed().matmul(wholeNumbers([80, 96], 3).converted(to: .float64))
        if let gradient = weight.gradient { expectSame(gradient, expected * 2, "gradient") }
        #expect(weight.hasGradient)
    }

    /// Lengths on and off the blocks; in `float32` by the kernel that leaves masked tiles away.
    @Test(arguments: [(DType.float64, 3), (.float32, 64)]) func attentionAcrossBlocks(_ dtype: DType, _ size: Int) {
        let lengths = [
            (1, 1), (1, 600), (127, 127), (128, 128), (129, 129), (130, 513), (300, 300), (257, 1_100), (140, 3),
        ]
        for (queries, keys) in lengths {
            for isCausal in [false, true] where !isCausal || queries <= keys {
                let shapes: [Shape] = [[1, 2, queries, size], [1, 2, keys, size], [1, 2, keys, size]]
                func gradients(_ dtype: DType, _ function: ([Tensor]) -> Tensor) -> [Tensor] {
                    let inputs = shapes.enumerated().map {
                        Parameter((sampleValues($1, seed: UInt64($0)) * 2).converted(to: dtype))
                    }
                    let result = function(inputs.map(\.value))
                    result.backward(gradient: fixedWeights(result.shape, dtype: dtype))
                    return [result.detached] + inputs.compactMap(\.gradient)
                }
                let mask = Tensor(
                    (0..<queries * keys).map { UInt8(!isCausal || $0 % keys <= $0 / keys + keys - queries ? 1 : 0) },
                    shape: [queries, keys])
                let expected = gradients(.float64) { x in
                    let scores = x[0].matmul(x[1].transposed()) / Double(size).squareRoot()
                    return Tensor.select(where: mask, scores, Tensor(scalar: -1e300, dtype: .float64)).softmax()
                        .matmul(x[2])
                }
                let actual = gradients(dtype) {
                    scaledDotProductAttention(query: $0[0], key: $0[1], value: $0[2], isCausal: isCausal)
                }
                #expect(actual.count == 4 && expected.count == 4)
                let relative = dtype == .float64 ? 1e-11 : 2e-4, absolute = dtype == .float64 ? 1e-12 : 2e-4
                for (i, (a, e)) in zip(actual, expected).enumerated() {
                    expectClose(
                        a.converted(to: .float64), e, relative: relative, absolute: absolute,
                        "\(i) of \(queries)×\(keys)\(isCausal ? ", causal" : "")")
                }
            }
        }
    }

    @Test func attentionToNothingIsZero() {
        let q = sampleValues([1, 1, 3, 2]), k = sampleValues([1, 1, 0, 2])
        #expect(scaledDotProductAttention(query: q, key: k, value: k).doubles == [0, 0, 0, 0, 0, 0])
    }
}
