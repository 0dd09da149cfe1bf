import Tensors
import TestSupport
import Testing

/// A linear layer with its ReLU in one operation, against the two of them.
struct RectifiedLinearTests {
    /// Values and gradients of x, weight and bias.
    private func results(
        _ dtype: DType, rows: Int, inputs: Int, outputs: Int, hasBias: Bool, _ isFused: Bool
    ) -> [Tensor] {
        let x = Parameter(sampleValues([2, rows, inputs], seed: 1).converted(to: dtype))
        let weight = Parameter(sampleValues([outputs, inputs], seed: 2).converted(to: dtype))
        let bias = hasBias ? Parameter(sampleValues([outputs], seed: 3).converted(to: dtype)) : nil
        let result =
            isFused
            ? x.value.linear(weight: weight.value, bias: bias?.value, isRectified: true)
            : x.value.linear(weight: weight.value, bias: bias?.value).relu()
        result.backward(gradient: fixedWeights(result.shape, dtype: dtype))
        return [result.detached] + [x, weight, bias].compactMap { $0?.gradient }
    }

    @Test(arguments: [DType.float32, .float64, .bfloat16], [true, false])
    func equalsTheTwoOperations(dtype: DType, hasBias: Bool) {
        // Our own product, OpenBLAS's (short and thin ones), and rows in several blocks.
        for (rows, inputs, outputs) in [(40, 600, 160), (3, 7, 5), (200, 33, 10), (1, 1, 1), (0, 3, 2), (300, 64, 129)]
        {
            let name = "\(dtype) \(rows)×\(inputs)×\(outputs)"
            let fused = results(dtype, rows: rows, inputs: inputs, outputs: outputs, hasBias: hasBias, true)
            let apart = results(dtype, rows: rows, inputs: inputs, outputs: outputs, hasBias: hasBias, false)
            #expect(fused.count == (hasBias ? 4 : 3) && fused.count == apart.count)
            #expect(rows <= 1 || fused[0].doubles.contains(0), "\(name): something to rectify")
            for (f, a) in zip(fused, apart) { #expect(f.shape == a.shape && f.doubles == a.doubles, "\(name)") }
        }
    }

    @Test func keepsNaN() {
        for (inputs, outputs) in [(64, 128), (3, 2)] {
            let x = Tensor(filling: Double.nan, shape: [64, inputs], dtype: .float32)
            let weight = Tensor(filling: 1, shape: [outputs, inputs], dtype: .float32)
            let result = x.linear(weight: weight, bias: nil, isRectified: true)
            let isNaN = result.doubles.allSatisfy { $0.isNaN }
            #expect(isNaN)
        }
    }

    @Test func gradientThatSomebodyElseHolds() {
        // The gradient of a sum is broadcast, and what comes to both uses of the result is not to be written over.
        func gradients(_ isFused: Bool) -> [[Double]] {
            let x = Parameter(sampleValues([8, 4], seed: 1)), weight = Parameter(sampleValues([3, 4], seed: 2))
            let y =
                isFused
                ? x.value.linear(weight: weight.value, bias: nil, isRectified: true)
                : x.value.linear(weight: weight.value, bias: nil).relu()
            (y * y + y).sum().backward()
            return [x, weight].map { $0.gradient?.doubles ?? [] }
        }
        let fused = gradients(true), isSomething = fused[0].contains { $0 != 0 }
        #expect(fused == gradients(false) && isSomething)
    }
}
