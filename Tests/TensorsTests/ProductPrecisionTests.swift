import Tensors
import TestSupport
import Testing

/// Products of operands rounded to bfloat16, against sums in double precision of the rounded numbers.
struct ProductPrecisionTests {
    private func rounded(_ tensor: Tensor) -> Tensor {
        tensor.converted(to: .bfloat16).converted(to: .float64)
    }

    /// Extents on either side of panels, squares of packing, slices and tiles.
    static let shapes: [(rows: Int, inner: Int, columns: Int)] = {
        var shapes: [(Int, Int, Int)] = []
        for rows in [1, 11, 12, 13, 25] {
            for columns in [1, 16, 31, 32, 33, 65] {
                for inner in [1, 2, 3, 31, 32, 33, 65] { shapes.append((rows, inner, columns)) }
            }
        }
        return shapes + [(5, 0, 4), (200, 130, 300), (193, 513, 257), (40, 1_030, 36), (385, 96, 520)]
    }()

    @Test(arguments: [false, true]) func shapesAndLayouts(emulated: Bool) {
        BFloat16Product.$emulates.withValue(emulated) {
            for (rows, inner, columns) in Self.shapes {
                let a = sampleValues([rows, inner], dtype: .float32)
                let b = sampleValues([inner, columns], dtype: .float32, seed: 1)
                let expected = rounded(a).matmul(rounded(b)).doubles
                for layoutA in [Layout.contiguous, .transposed] {
                    for layoutB in [Layout.contiguous, .transposed, .sliced] {
                        let (x, y) = (layoutA.apply(to: a), layoutB.apply(to: b))
                        let name = "[\(rows), \(inner)] \(layoutA) · [\(inner), \(columns)] \(layoutB)"
                        let product = withProductPrecision(.bfloat16) { x.matmul(y) }
                        #expect(product.dtype == .float32)
                        // Each of `inner` sums is rounded to float32; the terms are at most 4.
                        let tolerance = 3e-7 * Double(Swift.max(inner, 1))
                        expectClose(product.doubles, expected, relative: 3e-7, absolute: tolerance, name)
                        let narrow = x.converted(to: .bfloat16).matmul(y.converted(to: .bfloat16))
                        expectSameBits(narrow, product.converted(to: .bfloat16), name)
                    }
                }
            }
        }
    }

    /// Without the scope products are what they were.
    @Test func theScopeEnds() {
        let a = sampleValues([20, 30], dtype: .float32), b = sampleValues([30, 40], dtype: .float32, seed: 1)
        let before = a.matmul(b)
        let inside = withProductPrecision(.bfloat16) { a.matmul(b) }
        #expect(ProductPrecision.current == .float32)
        expectSameBits(a.matmul(b), before)
        #expect(inside.doubles != before.doubles)
        expectClose(inside, before, relative: 0.01, absolute: 0.1)
        // float64 has no part in it.
        let wide = (a.converted(to: .float64), b.converted(to: .float64))
        expectSameBits(withProductPrecision(.bfloat16) { wide.0.matmul(wide.1) }, wide.0.matmul(wide.1))
    }

    private static let operations: [(String, [Shape], @Sendable ([Tensor]) -> Tensor)] = [
        ("matmul", [[20, 33], [33, 17]], { $0[0].matmul($0[1]) }),
        ("batches", [[3, 20, 33], [3, 33, 17]], { $0[0].matmul($0[1]) }),
        ("rows", [[3, 20, 33], [33, 17]], { $0[0].matmul($0[1]) }),
        ("linear", [[3, 20, 33], [17, 33], [17]], { $0[0].linear(weight: $0[1], bias: $0[2]) }),
    ]

    /// Attention rounds nothing: it would cost more than it saves.
    @Test func attentionKeepsItsPrecision() {
        let parts = (0..<3).map { sampleValues([2, 3, 40, 32], dtype: .float32, seed: UInt64($0)) }
        let packed = sampleValues([2, 40, 3, 2, 32], dtype: .float32)
        func results(_ precision: ProductPrecision) -> [Tensor] {
            let all = Parameter(packed), each = parts.map { Parameter($0) }
            return withProductPrecision(precision) {
                let first = scaledDotProductAttention(packed: all.value, isCausal: true)
                let second = scaledDotProductAttention(
                    query: each[0].value, key: each[1].value, value: each[2].value)
                first.backward(gradient: fixedWeights(first.shape, dtype: .float32))
                second.backward(gradient: fixedWeights(second.shape, dtype: .float32))
                return [first.detached, second.detached] + (each + [all]).compactMap(\.gradient)
            }
        }
        let (rounded, full) = (results(.bfloat16), results(.float32))
        #expect(rounded.count == 6)
        for (a, b) in zip(rounded, full) { expectSameBits(a, b) }
    }

    /// The gradient is computed with the precision of the value, wherever the backward pass is called.
    @Test func gradientsRememberThePrecision() {
        for (name, shapes, operation) in Self.operations {
            func gradients(forward: ProductPrecision, backward: ProductPrecision) -> [Tensor] {
                let parameters = shapes.enumerated().map { i, shape in
                    Parameter(sampleValues(shape, dtype: .float32, seed: UInt64(i)))
                }
                let result = withProductPrecision(forward) { operation(parameters.map(\.value)) }
                withProductPrecision(backward) {
                    result.backward(gradient: fixedWeights(result.shape, dtype: .float32) * 1.01)
                }
                return parameters.compactMap(\.gradient)
            }
            let full = gradients(forward: .float32, backward: .float32)
            let mixed = gradients(forward: .bfloat16, backward: .bfloat16)
            #expect(full.count == shapes.count && mixed.count == shapes.count)
            for index in shapes.indices {
                expectSameBits(gradients(forward: .float32, backward: .bfloat16)[index], full[index], name)
                expectSameBits(gradients(forward: .bfloat16, backward: .float32)[index], mixed[index], name)
                let scale = full[index].doubles.reduce(1) { Swift.max($0, abs($1)) }
                expectClose(mixed[index], full[index], relative: 0, absolute: 0.02 * scale, name)
                // A bias is only summed.
                if shapes[index].count > 1 { #expect(mixed[index].doubles != full[index].doubles, "\(name)") }
            }
        }
    }

    /// See Note [Own process] in ParallelTests.
    @Test func theSameBitsOnAnyNumberOfThreads() async {
        await #expect(processExitsWith: .success) {
            func everything() -> [(String, Tensor)] {
                withProductPrecision(.bfloat16) {
                    ParallelTests.everything().filter {
                        $0.name.contains("matmul") || $0.name.contains("linear") || $0.name.contains("attention")
                    }.map { ($0.name, $0.tensor) }
                }
            }
            Parallel.threadCount = 1
            let expected = everything()
            #expect(expected.count > 12)
            for threads in [2, 3, 7] {
                Parallel.threadCount = threads
                for (actual, reference) in zip(everything(), expected) {
                    expectSameBits(actual.1, reference.1, "\(reference.0) on \(threads) threads")
                }
            }
        }
    }
}
