import NN
import Tensors
import TestSupport
import Testing

/// First values: distributions, seeds and the order they are drawn in.
struct InitializationTests {
    private func draw(_ initializer: Initializer, _ shape: Shape = [200, 500], seed: UInt64 = 1) -> [Double] {
        RandomContext.$current.withValue(RandomContext(seed: seed)) { initializer(shape).doubles }
    }

    private func moments(_ values: [Double]) -> (mean: Double, deviation: Double) {
        let mean = values.reduce(0, +) / Double(values.count)
        let square = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (mean, (square / Double(values.count)).squareRoot())
    }

    /// With 100,000 numbers the mean is off by σ/316 and the deviation by σ/447 at a time; five times that is allowed.
    private func expectMoments(
        _ values: [Double], deviation: Double, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let found = moments(values)
        #expect(abs(found.mean) < deviation * 5 / 316, sourceLocation: sourceLocation)
        #expect(abs(found.deviation - deviation) < deviation * 5 / 447, sourceLocation: sourceLocation)
    }

    private func expectBound(_ values: [Double], _ bound: Double, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(values.allSatisfy { abs($0) <= Double(Float(bound)) }, sourceLocation: sourceLocation)
        #expect((values.max() ?? 0) > bound * 0.999, sourceLocation: sourceLocation)
        #expect((values.min() ?? 0) < -bound * 0.999, sourceLocation: sourceLocation)
        expectMoments(values, deviation: bound / 3.0.squareRoot(), sourceLocation: sourceLocation)
    }

    @Test func distributions() {
        #expect(draw(.constant(0.75), [3]) == [0.75, 0.75, 0.75])
        expectBound(draw(.uniform(bound: 0.3)), 0.3)
        expectMoments(draw(.normal(deviation: 0.02)), deviation: 0.02)
        let normal = draw(.normal(deviation: 1))
        // The share beyond one, two and three deviations.
        for (limit, share) in [(1.0, 0.3173), (2, 0.0455), (3, 0.0027)] {
            let found = Double(normal.count { abs($0) > limit }) / Double(normal.count)
            #expect(abs(found - share) < 5 * (share / 100_000).squareRoot(), "beyond \(limit): \(found)")
        }
        expectBound(draw(.kaimingUniform(inputs: 500, slope: 0)), (6.0 / 500).squareRoot())
        // PyTorch's default for linear layers: a slope of √5 gives 1/√inputs.
        expectBound(draw(.kaimingUniform(inputs: 500, slope: 5.0.squareRoot())), (1.0 / 500).squareRoot())
        expectBound(draw(.xavierUniform(inputs: 500, outputs: 200)), (6.0 / 700).squareRoot())
    }

    @Test func moreDistributions() {
        expectMoments(draw(.kaimingNormal(inputs: 500, slope: 0)), deviation: (2.0 / 500).squareRoot())
        expectMoments(draw(.xavierNormal(inputs: 500, outputs: 200)), deviation: (2.0 / 700).squareRoot())
        let cut = draw(.truncatedNormal(deviation: 0.02))
        #expect(cut.allSatisfy { abs($0) <= 0.0400001 } && (cut.max() ?? 0) > 0.0399)
        // A normal distribution cut at two deviations has 0.8796 of its deviation.
        expectMoments(cut, deviation: 0.02 * 0.87962566)
    }

    @Test func orthogonalMatrices() {
        for (shape, count) in [([5, 12], 5), ([12, 5], 5), ([6, 2, 3, 3], 6), ([4, 4], 4)] as [(Shape, Int)] {
            let matrix = Initializer.orthogonal(gain: 1.5)(shape, dtype: .float64).reshaped(to: [shape[0], -1])
            let wide = matrix.shape[0] == count ? matrix : matrix.transposed()
            let products = wide.matmul(wide.transposed())
            let identity = Tensor.oneHot(Tensor.range(count), classes: count, dtype: .float64) * 2.25
            expectClose(products, identity, relative: 0, absolute: 1e-12, "\(shape)")
        }
    }

    @Test func parametersAreInitializedByTheirShape() {
        let kernels = Parameter(.zeros([6, 4, 5, 3]))
        var fans: [Int] = []
        kernels.initialize { inputs, outputs in
            fans = [inputs, outputs]
            return .xavierUniform(inputs: inputs, outputs: outputs)
        }
        #expect(fans == [60, 90])
        let bound = (6.0 / 150).squareRoot()
        #expect(kernels.value.doubles.allSatisfy { abs($0) <= bound && $0 != 0 })
        kernels.initialize(.constant(2))
        #expect(kernels.value.doubles.allSatisfy { $0 == 2 })
    }

    @Test func layersBeginAsInPyTorch() {
        RandomContext.$current.withValue(RandomContext(seed: 5)) {
            let linear = Linear(400, 250)
            expectBound(linear.weight.value.doubles, 0.05)
            #expect(linear.bias?.value.doubles.allSatisfy { abs($0) <= 0.05 } == true)
            #expect(Set(linear.bias?.value.doubles ?? []).count == 250)
            let convolution = Conv2d(32, 700, kernel: 5, groups: 2)
            #expect(convolution.weight.shape == [700, 16, 5, 5])
            expectBound(convolution.weight.value.doubles, 0.05)
            #expect(convolution.bias?.value.doubles.allSatisfy { abs($0) <= 0.05 } == true)
            expectMoments(Embedding(200, 500).weight.value.doubles, deviation: 1)
            expectMoments(Embedding(200, 500, deviation: 0.1).weight.value.doubles, deviation: 0.1)
            let given = Linear(400, 250, initializer: .normal(deviation: 0.02))
            expectMoments(given.weight.value.doubles, deviation: 0.02)
            let attention = SelfAttention(200, heads: 2, initializer: .normal(deviation: 0.02))
            expectMoments(attention.projection.weight.value.doubles, deviation: 0.02)
        }
        for norm in [LayerNorm(3).stateDictionary, BatchNorm(3).stateDictionary] {
            #expect(norm["weight"]?.doubles == [1, 1, 1])
            #expect(norm["bias"]?.doubles == [0, 0, 0])
        }
        #expect(BatchNorm(2).stateDictionary["running_var"]?.doubles == [1, 1])
        #expect(BatchNorm(2).stateDictionary["running_mean"]?.doubles == [0, 0])
    }

    private func model() -> StateDictionary {
        Sequential {
            Linear(3, 4)
            Embedding(5, 2)
            Conv2d(1, 2, kernel: 3)
        }.stateDictionary
    }

    @Test func theSameSeedGivesTheSameValues() throws {
        func made(_ seed: UInt64) -> StateDictionary {
            RandomContext.$current.withValue(RandomContext(seed: seed)) { model() }
        }
        for (key, tensor) in made(7) { expectSameBits(tensor, try #require(made(7)[key])) }
        for (key, tensor) in made(8) { #expect(tensor.doubles != made(7)[key]?.doubles, "\(key)") }
        // The second model of a seed has other values than the first.
        RandomContext.$current.withValue(RandomContext(seed: 7)) {
            let (first, second) = (model(), model())
            for key in first.keys { #expect(first[key]?.doubles != second[key]?.doubles) }
        }
    }

    /// Values are drawn as parameters are made, one after another, from one stream that nothing else draws from.
    @Test func orderOfConstruction() {
        let context = RandomContext(seed: 3)
        RandomContext.$current.withValue(context) {
            let first = Linear(3, 4)
            // Dropout and users' own numbers come from other streams.
            _ = Dropout(0.5)(.ones([100]))
            _ = context.draw(.user) { $0.uniforms(10) }
            context.begin(step: 9, shard: 2)
            let second = Embedding(5, 2)
            var stream = RandomStream(seed: 3, purpose: .initialization)
            let bound = 1 / 3.0.squareRoot()
            let weight = stream.uniforms(12).map { Double(Float((2 * $0 - 1) * bound)) }
            let bias = stream.uniforms(4).map { Double(Float((2 * $0 - 1) * bound)) }
            #expect(first.weight.value.doubles == weight)
            #expect(first.bias?.value.doubles == bias)
            #expect(second.weight.value.doubles == stream.normals([10]).doubles)
        }
    }

    @Test func dropoutInTrainingAndEvaluation() {
        let layer = Dropout(0.25)
        let input = Tensor.ones([400, 100])
        let output = RandomContext.$current.withValue(RandomContext(seed: 2)) { layer(input).doubles }
        let kept = Double(Float(1) / Float(0.75))
        #expect(Set(output) == [0, kept])
        let share = Double(output.count { $0 == 0 }) / 40_000
        #expect(abs(share - 0.25) < 5 * (0.25 * 0.75 / 40_000).squareRoot())
        layer.evaluate()
        #expect(layer(input).doubles == input.doubles)
        let none = Dropout(0)
        #expect(none(input).doubles == input.doubles)
    }
}
