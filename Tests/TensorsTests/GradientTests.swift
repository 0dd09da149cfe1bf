import Tensors
import TestSupport
import Testing

/// Every operation's pullback against finite differences in double precision, in every layout of its inputs.
struct GradientTests {
    /// Operations without a gradient, or (`converted`) with one that single precision hides.
    private static let without: Set<String> = ["argmax", "argmax.first", "argmin", "accuracy", "converted"]
    private static let comparisons = ["equal", "notEqual", "less", "lessEqual", "greater", "greaterEqual"]
    /// Where a repeated first dimension makes ties or a variance of 0, so that there is no derivative.
    private static let notExpanded: Set<String> = [
        "max", "min", "max.first", "batchNorm.matrix", "maximum.scalar", "minimum.scalar",
    ]

    static let names = goldenOperations.keys.sorted().filter { name in
        !without.contains(name) && !name.hasSuffix(".ties") && !comparisons.contains { name.hasPrefix($0 + ".") }
    }

    @Test(arguments: names) func agreesWithFiniteDifferences(name: String) throws {
        let golden = try #require(try GoldenTests.file.get().cases.first { $0.name == name })
        let operation = try #require(goldenOperations[name])
        let isUnary = golden.inputs.count == 1 && golden.inputs[0].shape == [5, 8]
        // The golden inputs of elementwise operations hold their corners on purpose: go where they are smooth.
        let inputs = isUnary ? [sampleValues([5, 8])] : golden.inputs
        let needsPositive = ["log", "squareRoot", "reciprocalSquareRoot", "power2.5", "power-1.5"].contains(name)
        let floating = inputs.filter { $0.dtype != .int64 }
        let layouts = Layout.allCases.filter { $0 != .expanded || !Self.notExpanded.contains(name) }
        checkGradient(
            of: { floating in
                var rest = floating[...]
                let arguments = inputs.map { $0.dtype == .int64 ? $0 : rest.removeFirst() }
                let ready = needsPositive ? arguments.map { $0.squared() + 0.1 } : arguments
                let results = operation.apply(ready)
                // The moments of a batch come beside the result, without gradient.
                let scored = name.hasPrefix("batchNorm") ? Array(results.prefix(1)) : results
                return Tensor.concatenate(scored.map { $0.reshaped(to: [-1]) })
            },
            at: floating, layouts: layouts, name)
    }

    @Test func smallShapesInEveryLayout() {
        for shape in smallShapes {
            let a = sampleValues(shape), b = sampleValues(shape, seed: 1)
            checkGradient(of: { ($0[0] * $0[1] + $0[0]).tanh() }, at: [a, b], "tanh(ab + a) \(shape)")
            checkGradient(of: { $0[0].squared().sum() * $0[0] }, at: [a], "sum(a²) · a \(shape)")
            guard shape.count > 0 else { continue }
            checkGradient(of: { $0[0].softmax(along: 0) * $0[0] }, at: [a], "softmax along 0 of \(shape)")
            checkGradient(of: { $0[0].logSoftmax().mean(along: -1) }, at: [a], "logSoftmax of \(shape)")
        }
    }

    @Test func shortWindowsAndOddSizes() {
        let image = sampleValues([2, 2, 5, 4])
        for kernel in [1, 2, 3] {
            for stride in [1, 2, 3] {
                for padding in [0, 1] {
                    for dilation in [1, 2] where dilation * (kernel - 1) < 4 + 2 * padding {
                        let window = Window(kernel: kernel, stride: stride, padding: padding, dilation: dilation)
                        let name = "kernel \(kernel), stride \(stride), padding \(padding), dilation \(dilation)"
                        let weight = sampleValues([4, 1, kernel, kernel], seed: 1)
                        checkGradient(
                            of: { $0[0].convolved(weight: $0[1], bias: $0[2], window: window, groups: 2) },
                            at: [image, weight, sampleValues([4], seed: 2)], layouts: [.contiguous, .transposed], name)
                        checkGradient(
                            of: {
                                $0[0].convolvedTransposed(
                                    weight: $0[1], bias: $0[2], window: window,
                                    outputPadding: (stride - 1, stride / 2), groups: 2)
                            }, at: [image, sampleValues([2, 2, kernel, kernel], seed: 1), sampleValues([4], seed: 2)],
                            layouts: [.contiguous, .transposed], "transposed, " + name)
                        guard padding * 2 <= kernel else { continue }
                        checkGradient(of: { $0[0].maxPooled(window) }, at: [image], layouts: [.contiguous], name)
                        guard dilation == 1 else { continue }
                        checkGradient(of: { $0[0].averagePooled(window) }, at: [image], layouts: [.contiguous], name)
                    }
                }
            }
        }
    }

    @Test func dropoutIsAMaskOnTheGradient() {
        RandomContext.$current.withValue(RandomContext(seed: 3)) {
            let input = sampleValues([40, 5])
            checkGradient(
                of: {
                    RandomContext.current.begin(step: 7, shard: 1)
                    return $0[0].droppedOut(0.4)
                }, at: [input])
        }
    }
}
