import Tensors
import TestSupport
import Testing

/// What the backward pass keeps, makes again and writes over.
struct KeptResultsTests {
    /// Chains in which a linear layer keeps a way to make its input again instead of the input.
    private static let chains: [(name: String, function: @Sendable ([Tensor]) -> Tensor)] = [
        ("gelu", { $0[0].gelu().linear(weight: $0[1], bias: $0[2]) }),
        ("layerNorm", { $0[0].layerNorm(weight: $0[2], bias: nil).linear(weight: $0[1], bias: nil) }),
        ("rmsNorm", { $0[0].rmsNorm(weight: $0[2]).linear(weight: $0[1], bias: nil) }),
        ("block", { $0[0] + $0[0].rmsNorm(weight: $0[2]).linear(weight: $0[1], bias: nil).gelu() * 2 }),
        (
            "used twice",
            {
                let hidden = $0[0].gelu()
                return hidden.linear(weight: $0[1], bias: $0[2]).gelu() + hidden
                    + hidden.linear(weight: $0[1], bias: nil)
            }
        ),
        // One gradient for two operations, neither of which may write over it.
        (
            "shared gradient",
            {
                let sum = $0[0].relu() + $0[0].tanh()
                return sum.gelu() + sum.layerNorm(weight: $0[2], bias: nil) + $0[0].linear(weight: $0[1], bias: nil)
            }
        ),
    ]

    @Test func gradientsAgreeWithFiniteDifferences() {
        let inputs = [sampleValues([4, 3, 5]), sampleValues([5, 5], seed: 1), sampleValues([5], seed: 2)]
        for chain in Self.chains { checkGradient(of: chain.function, at: inputs, chain.name) }
    }

    @Test func aGraphThatIsKeptGivesTheSameAgain() {
        for chain in Self.chains {
            let inputs = [sampleValues([4, 3, 5]), sampleValues([5, 5], seed: 1), sampleValues([5], seed: 2)]
            let parameters = inputs.map { Parameter($0) }
            let result = chain.function(parameters.map(\.value))
            let seed = fixedWeights(result.shape, dtype: .float64), before = seed.doubles
            result.backward(gradient: seed, keepingGraph: true)
            let first = parameters.map(\.gradient)
            for parameter in parameters { parameter.clearGradient() }
            result.backward(gradient: seed)
            for (parameter, expected) in zip(parameters, first) {
                guard let actual = parameter.gradient, let expected else { continue }
                expectSameBits(actual, expected, chain.name)
            }
            // The caller's own gradient was not written over.
            #expect(seed.doubles == before)
        }
    }

    @Test func rootMeanSquareNormalisation() {
        for dtype in [DType.float32, .float64] {
            let x = sampleValues([7, 19], dtype: dtype), weight = sampleValues([19], dtype: dtype, seed: 1)
            let expected = x / (x.squared().mean(along: [1], keepingDimensions: true) + 1e-3).squareRoot() * weight
            let tolerance = dtype == .float32 ? 1e-6 : 1e-14
            expectClose(x.rmsNorm(weight: weight, epsilon: 1e-3), expected, relative: tolerance, absolute: tolerance)
            expectClose(
                x.rmsNorm(weight: nil), x / x.squared().mean(along: [1], keepingDimensions: true).squareRoot(),
                relative: 10 * tolerance, absolute: tolerance)
        }
        checkGradient(
            of: { $0[0].rmsNorm(weight: $0[1], epsilon: 1e-2) },
            at: [sampleValues([3, 2, 5]), sampleValues([5], seed: 1)], "rmsNorm")
    }

    // See Note [Own process]: the counters belong to the process.

    @Test func aLayerAfterGELUDoesNotKeepItsInput() async {
        await #expect(processExitsWith: .success) {
            let weight = Parameter(sampleValues([64, 1_024], dtype: .float32))
            let x = Parameter(sampleValues([256, 1_024], dtype: .float32))
            let before = MemoryPool.counts.bytesInUse
            let result = (x.value * 2).gelu().linear(weight: weight.value, bias: nil)
            // The product with 2, which GELU keeps, and the result: a megabyte and 64 KiB.
            #expect(MemoryPool.counts.bytesInUse - before < 1_300_000)
            #expect(result.shape == [256, 64])
        }
    }
}
