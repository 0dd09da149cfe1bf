import Tensors
import TestSupport
import Testing

/// Batch normalisation and a ReLU in one operation, beside the two of them, and what is kept of it.
struct RectifiedBatchNormTests {
    private static let window = Window(kernel: 3, padding: 1)

    @Test func isTheSameAsTwoOperations() {
        for (shape, dtype) in [
            ([8, 6], DType.float64), ([5, 3, 7, 4], .float32), ([3, 70, 9, 5], .float32), ([4, 65, 3, 3], .float64),
            ([130, 16, 2, 1], .float32), ([4, 8, 5, 5], .bfloat16),
        ] as [([Int], DType)] {
            for (hasWeight, isGiven) in [(true, false), (false, false), (true, true)] {
                let channels = shape[1]
                func run(_ isOne: Bool) -> (results: [Tensor], gradients: [Tensor?]) {
                    let parameters = [
                        Parameter(sampleValues(Shape(shape), dtype: dtype)),
                        Parameter(sampleValues([channels], dtype: dtype, seed: 1)),
                        Parameter(sampleValues([channels], dtype: dtype, seed: 2)),
                    ]
                    let moments = (
                        mean: sampleValues([channels], dtype: dtype, seed: 3),
                        variance: sampleValues([channels], dtype: dtype, seed: 4).absolute() + 0.5
                    )
                    let normal = parameters[0].value.batchNorm(
                        weight: hasWeight ? parameters[1].value : nil, bias: hasWeight ? parameters[2].value : nil,
                        moments: isGiven ? moments : nil, isRectified: isOne)
                    let result = isOne ? normal.result : normal.result.relu()
                    result.backward(gradient: fixedWeights(result.shape, dtype: dtype))
                    return ([result.detached, normal.mean, normal.variance], parameters.map(\.gradient))
                }
                let one = run(true), two = run(false)
                let name = "\(dtype) \(shape), weight \(hasWeight), moments \(isGiven)"
                for (a, b) in zip(one.results, two.results) { expectSameBits(a, b, name) }
                #expect(one.results[0].min().item == 0 && one.results[0].max().item > 0, "\(name)")
                for (a, b) in zip(one.gradients, two.gradients) {
                    #expect((a == nil) == (b == nil), "\(name)")
                    if let a, let b { expectSameBits(a, b, name) }
                }
            }
        }
    }

    @Test func gradientsAgreeWithFiniteDifferences() {
        checkGradient(
            of: { $0[0].batchNorm(weight: $0[1], bias: $0[2], isRectified: true).result },
            at: [sampleValues([3, 2, 4]), sampleValues([2], seed: 1), sampleValues([2], seed: 2)], "rectified")
    }

    /// A convolution that has its input made again, beside one that keeps it.
    @Test func aConvolutionAfterItHasTheSameGradients() {
        for (dtype, precision) in [
            (DType.float32, ProductPrecision.float32), (.float32, .bfloat16), (.float64, .float32),
        ] {
            for (outputs, groups) in [(64, 1), (4, 2)] {
                for isRectified in [true, false] {
                    func run(makesAgain: Bool) -> [Tensor?] {
                        let parameters = [
                            Parameter(sampleValues([4, 32, 8, 8], dtype: dtype)),
                            Parameter(sampleValues([32], dtype: dtype, seed: 1)),
                            Parameter(sampleValues([32], dtype: dtype, seed: 2)),
                            Parameter(sampleValues([outputs, 32 / groups, 3, 3], dtype: dtype, seed: 3)),
                        ]
                        return withProductPrecision(precision) {
                            let normal = parameters[0].value.batchNorm(
                                weight: parameters[1].value, bias: parameters[2].value, isRectified: isRectified
                            ).result
                            // A product with 1 is the same number, and nothing that is made again.
                            let result = (makesAgain ? normal : normal * 1).convolved(
                                weight: parameters[3].value, bias: nil, window: Self.window, groups: groups)
                            result.backward(gradient: fixedWeights(result.shape, dtype: dtype))
                            return parameters.map(\.gradient)
                        }
                    }
                    for (again, kept) in zip(run(makesAgain: true), run(makesAgain: false)) {
                        guard let again, let kept else {
                            Issue.record("no gradient")
                            continue
                        }
                        expectSameBits(again, kept, "\(dtype) \(precision) \(outputs) \(groups) \(isRectified)")
                    }
                }
            }
        }
    }

    // See Note [Own process]: the counters belong to the process.

    @Test func aConvolutionAfterItDoesNotKeepItsInput() async {
        await #expect(processExitsWith: .success) {
            let x = Parameter(sampleValues([8, 32, 32, 32], dtype: .float32))
            let weight = Parameter(sampleValues([1, 32, 3, 3], dtype: .float32))
            let before = MemoryPool.counts.bytesInUse
            let result = (x.value * 2).batchNorm(weight: nil, bias: nil, isRectified: true).result.convolved(
                weight: weight.value, bias: nil, window: Self.window)
            // The product with 2, which the normalisation keeps, and the result: a megabyte and 32 KiB.
            #expect(MemoryPool.counts.bytesInUse - before < 1_200_000)
            #expect(result.shape == [8, 1, 32, 32])
        }
    }
}
