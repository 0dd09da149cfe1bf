import NN
import Tensors
import TestSupport
import Testing

/// Layers whose ReLU is done by their own operation, beside the two layers one after the other.
struct RectifiedLayerTests {
    @Test func aSequenceIsTheSameAsItsLayers() {
        func layers() -> [any Layer] {
            [
                Conv2d(2, 5, kernel: 3), BatchNorm(5), ReLU(), Conv2d(5, 3, kernel: 3), BatchNorm(3), Flatten(),
                Linear(12, 7), ReLU(), BatchNorm(7), ReLU(), ReLU(),
            ]
        }
        let together = layers(), apart = layers()
        for (a, b) in zip(together, apart) {
            for (p, q) in zip(a.parameters, b.parameters) { q.assign(p.value) }
        }
        let sequence = Sequential(together)
        for step in 0..<4 {
            // The last in evaluation.
            for layer in together + apart { layer.train(step < 3) }
            let images = sampleValues([6, 2, 6, 6], dtype: .float32, seed: UInt64(step))
            let one = sequence(images), two = apart.reduce(images) { $1($0) }
            expectSameBits(one.detached, two.detached, "step \(step)")
            one.backward(gradient: fixedWeights(one.shape, dtype: .float32))
            two.backward(gradient: fixedWeights(two.shape, dtype: .float32))
        }
        for (a, b) in zip(together, apart) {
            for (p, q) in zip(a.parameters, b.parameters) {
                guard let first = p.gradient, let second = q.gradient else {
                    Issue.record("no gradient")
                    continue
                }
                expectSameBits(first, second)
            }
            if let a = a as? BatchNorm, let b = b as? BatchNorm {
                expectSameBits(a.runningMean.value, b.runningMean.value)
                expectSameBits(a.runningVariance.value, b.runningVariance.value)
                #expect(a.batchCount.value.item == 3)
            }
        }
    }
}
