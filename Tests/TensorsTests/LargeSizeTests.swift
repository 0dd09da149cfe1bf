import Tensors
import TestSupport
import Testing

/// Sizes at which operations are cut into pieces, against the same mathematics done without pieces.
struct LargeSizeTests {
    /// Results and gradients of two ways to the same thing.
    private func expectSame(
        _ shapes: [Shape], tolerance: Double, _ first: ([Tensor]) -> Tensor, _ second: ([Tensor]) -> Tensor,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        func run(_ function: ([Tensor]) -> Tensor) -> (Tensor, [Tensor?]) {
            let parameters = shapes.enumerated().map { Parameter(sampleValues($1, seed: UInt64($0))) }
            let result = function(parameters.map(\.value))
            result.backward(gradient: fixedWeights(result.shape, dtype: .float64))
            return (result, parameters.map(\.gradient))
        }
        let (result, gradients) = run(first), (expected, expectedGradients) = run(second)
        expectClose(
            result, expected, relative: tolerance, absolute: tolerance, "result", sourceLocation: sourceLocation)
        for (i, (gradient, reference)) in zip(gradients, expectedGradients).enumerated() {
            guard let gradient, let reference else {
                Issue.record("input \(i) got no gradient", sourceLocation: sourceLocation)
                continue
            }
            let scale = reference.doubles.reduce(1) { Swift.max($0, abs($1)) }
            expectClose(
                gradient, reference, relative: tolerance, absolute: tolerance * scale, "gradient \(i)",
                sourceLocation: sourceLocation)
        }
    }

    @Test func layerNormOverManyRows() {
        expectSame([[1_000, 97], [97], [97]], tolerance: 1e-12) {
            $0[0].layerNorm(weight: $0[1], bias: $0[2])
        } _: { inputs in
            let centred = inputs[0] - inputs[0].mean(along: -1, keepingDimensions: true)
            let variance = centred.squared().mean(along: -1, keepingDimensions: true)
            return centred / (variance + 1e-5).squareRoot() * inputs[1] + inputs[2]
        }
    }

    @Test func crossEntropyOverManyRows() {
        let labels = Tensor((0..<3_000).map { Int64($0 * 7 % 31) })
        expectSame([[3_000, 31]], tolerance: 1e-12) {
            crossEntropy($0[0], labels).reshaped(to: [1])
        } _: {
            negativeLogLikelihood($0[0].logSoftmax(), labels).reshaped(to: [1])
        }
        expectSame([[3_000, 31]], tolerance: 1e-12) {
            $0[0].logSoftmax()
        } _: {
            $0[0].softmax().log()
        }
        expectSame([[3_000, 31]], tolerance: 1e-12) {
            $0[0].softmax()
        } _: { inputs in
            let exponentials = inputs[0].exp()
            return exponentials / exponentials.sum(along: 1, keepingDimensions: true)
        }
    }

    @Test func convolutionOfManyImages() {
        // Weight gradients are summed by parts of the batch: three images a part here.
        checkGradient(
            of: { $0[0].convolved(weight: $0[1], bias: $0[2], window: Window(kernel: 2), groups: 2) },
            at: [sampleValues([19, 2, 3, 3]), sampleValues([4, 1, 2, 2], seed: 1), sampleValues([4], seed: 2)],
            layouts: [.contiguous])
    }

    @Test func productsCutIntoTiles() {
        // Rows and columns longer than a tile, neither a multiple of one; a plain loop for reference.
        for (rows, inner, columns) in [(700, 30, 200), (40, 50, 1_100), (515, 17, 516)] {
            let a = sampleValues([rows, inner]), b = sampleValues([inner, columns], seed: 1)
            let x = a.doubles, y = b.doubles
            var expected = [Double](repeating: 0, count: rows * columns)
            for i in 0..<rows {
                for k in 0..<inner {
                    for j in 0..<columns { expected[i * columns + j] += x[i * inner + k] * y[k * columns + j] }
                }
            }
            for layout in [Layout.contiguous, .transposed, .sliced] {
                let (p, q) = (layout.apply(to: a), layout.apply(to: b))
                expectClose(p.matmul(q).doubles, expected, relative: 1e-13, absolute: 1e-12, "\(layout)")
                expectClose(
                    p.linear(weight: q.transposed(), bias: nil).doubles, expected, relative: 1e-13, absolute: 1e-12,
                    "linear, \(layout)")
            }
        }
    }

    @Test func mapsOverManyPieces() {
        // Every piece holds the same numbers as one operation on a part of them.
        let x = sampleValues([100_003], dtype: .float32)
        let tail = x.slice(65_000..<100_003)
        expectSameBits(x.gelu().slice(65_000..<100_003), tail.gelu())
        expectSameBits((x * 3 + 1).slice(65_000..<100_003), tail * 3 + 1)
        expectSameBits((x / (x.squared() + 1)).slice(65_000..<100_003), tail / (tail.squared() + 1))
        expectSameBits(
            Tensor.maximum(x, -x).slice(65_000..<100_003), Tensor.maximum(tail, -tail))
    }

    @Test func dropoutTakesTheWordsOfItsStreamInOrder() {
        RandomContext.$current.withValue(RandomContext(seed: 21)) {
            RandomContext.current.begin(step: 5, shard: 2)
            let count = 100_003
            var stream = RandomStream(seed: 21, purpose: .dropout, step: 5, shard: 2)
            for probability in [0.25, 0.7] {
                let limit = UInt32(probability * 0x1p32)
                // Each draw takes whole blocks of four words.
                let words = stream.words((count + 3) / 4 * 4).prefix(count)
                let dropped = Tensor.ones([count], dtype: .float64).droppedOut(probability).doubles
                #expect(dropped.map { $0 == 0 } == words.map { $0 < limit })
            }
        }
    }
}
