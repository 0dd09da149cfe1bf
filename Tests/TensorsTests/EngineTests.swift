import Tensors
import TestSupport
import Testing

/// What the backward pass promises beside right numbers.
struct EngineTests {
    private func parameter(_ numbers: [Double]) -> Parameter { Parameter(Tensor(numbers)) }

    @Test func usesOfOneValueAddUp() {
        let p = parameter([2, -3])
        let x = p.value
        (x * x + x + x).sum().backward()
        #expect(p.gradient?.doubles == [6, -4])
        p.clearGradient()
        // One inner node used by many.
        let y = x.squared()
        (y * y + y - y * 3).sum().backward()
        // d/dx (x⁴ − 2x²) = 4x³ − 4x
        #expect(p.gradient?.doubles == [24, -96])
    }

    @Test func backwardPassesAddUp() {
        let p = parameter([1, 2])
        (p.value * 3).sum().backward()
        (p.value * p.value).sum().backward()
        #expect(p.gradient?.doubles == [5, 7])
        p.setGradient(Tensor([1, 1] as [Double]))
        #expect(p.gradient?.doubles == [1, 1])
        p.clearGradient()
        #expect(p.gradient == nil && !p.hasGradient)
        p.value.sum().backward(seed: 4)
        #expect(p.gradient?.doubles == [4, 4])
    }

    @Test func aParameterMayBeTheResult() {
        let p = Parameter(Tensor(scalar: 3, dtype: .float64))
        p.value.backward(seed: 2)
        #expect(p.gradient?.item == 2)
    }

    @Test func gradientOfAnInnerProduct() {
        let p = parameter([1, 2, 3])
        (p.value * p.value).backward(gradient: Tensor([1, 0, -1] as [Double]))
        #expect(p.gradient?.doubles == [2, 0, -6])
    }

    @Test func unusedParametersHaveNoneUntilTheyMust() {
        let used = parameter([1, 2]), unused = parameter([3])
        used.value.sum().backward()
        #expect(unused.gradient == nil)
        unused.materializeGradient()
        #expect(unused.gradient?.doubles == [0])
        // A gradient that came stays.
        used.materializeGradient()
        #expect(used.gradient?.doubles == [1, 1])
        // Old memory does not show through.
        used.clearGradient()
        used.materializeGradient()
        #expect(used.gradient?.doubles == [0, 0])
    }

    @Test func frozenParametersGetNothing() {
        let free = parameter([2]), frozen = parameter([5])
        frozen.requiresGradient = false
        let product = free.value * frozen.value
        #expect(product.requiresGradient && !frozen.value.requiresGradient)
        product.sum().backward()
        #expect(free.gradient?.doubles == [5])
        #expect(frozen.gradient == nil)
        frozen.requiresGradient = true
        (free.value * frozen.value).sum().backward()
        #expect(frozen.gradient?.doubles == [2])
    }

    @Test func recordingCanBeTurnedOffAndOn() {
        let p = parameter([2])
        let silent = withoutGradient { p.value * 2 }
        #expect(!silent.requiresGradient)
        let loud = withoutGradient { withGradient { p.value * 2 } }
        #expect(loud.requiresGradient)
        #expect(!(p.value * 2).detached.requiresGradient)
        #expect((p.value.detached + p.value).requiresGradient)
    }

    @Test func aKeptGraphServesAgain() {
        let p = parameter([3])
        let y = (p.value.squared() * p.value).sum()
        y.backward(keepingGraph: true)
        #expect(p.gradient?.doubles == [27])
        y.backward(keepingGraph: true)
        y.backward()
        #expect(p.gradient?.doubles == [81])
    }

    @Test func twoResultsOfOneGraph() {
        let p = parameter([3, 4])
        let shared = p.value.squared()
        let first = shared.sum(), second = (shared * 2).sum()
        first.backward(keepingGraph: true)
        second.backward()
        #expect(p.gradient?.doubles == [18, 24])
    }

    @Test func gradientsAreHandedOverOnceWhenComplete() {
        let a = parameter([1, 2]), b = parameter([3, 4])
        var order: [String] = []
        a.onGradientReady = { order.append("a \($0.gradient?.doubles ?? [])") }
        b.onGradientReady = { order.append("b \($0.gradient?.doubles ?? [])") }
        // `a` is used by the first and by the last operation: it is complete only at the end.
        let y = a.value * 2
        ((y * b.value).sum() + a.value.sum()).backward()
        #expect(order == ["b [2.0, 4.0]", "a [7.0, 9.0]"])
    }

    @Test func aResultMayOutliveItsParameters() {
        func lossOfATemporaryModel() -> Tensor {
            let w = parameter([1, 2])
            return (w.value.squared() + w.value).sum()
        }
        #expect(lossOfATemporaryModel().item == 8)
        let loss = lossOfATemporaryModel()
        loss.backward()
        #expect(loss.item == 8)
    }

    @Test func aMissingGradientDoesNotHoldUpOthers() {
        // Comparison masks and labels sit between values with gradients.
        let p = parameter([1, -2, 3])
        let x = p.value
        let mask = x .> Tensor(scalar: 0, dtype: .float64)
        #expect(!mask.requiresGradient)
        Tensor.select(where: mask, x * 2, x * 5).sum().backward()
        #expect(p.gradient?.doubles == [2, 5, 2])
    }

    @Test func broadcastGradientsAreSummed() {
        let scalar = Parameter(Tensor(scalar: 2, dtype: .float64)), row = parameter([1, 2, 3])
        let column = Parameter(Tensor([10, 20] as [Double], shape: [2, 1]))
        ((column.value + row.value) * scalar.value).sum().backward()
        #expect(row.gradient?.doubles == [4, 4, 4])
        #expect(column.gradient?.doubles == [6, 6])
        #expect(column.gradient?.shape == [2, 1])
        #expect(scalar.gradient?.doubles == [102])
        #expect(scalar.gradient?.shape == [])
    }

    @Test func mixedPrecisionThroughConversions() {
        let w = Parameter(Tensor([1.5, 2.5] as [Float]))
        let y = (w.value.converted(to: .float64) * Tensor([3, 4] as [Double])).sum()
        y.backward()
        #expect(w.gradient?.dtype == .float32)
        #expect(w.gradient?.doubles == [3, 4])
    }

    // Note [Own process]: these would take the whole test run down with them when they fail, so each has its own.

    @Test func aMillionOperationsAreReleasedByBackward() async {
        await #expect(processExitsWith: .success) {
            let p = Parameter(Tensor(scalar: 1, dtype: .float64))
            var x = p.value
            for _ in 0..<1_000_000 { x = x + 1e-6 }
            let inUse = MemoryPool.counts.bytesInUse
            x.backward()
            #expect(p.gradient?.item == 1)
            // The tensors of the chain are values nobody saved; what is left is the result and the gradient.
            #expect(MemoryPool.counts.bytesInUse <= inUse + 64)
        }
    }

    @Test func aMillionOperationsAreReleasedByDroppingThem() async {
        await #expect(processExitsWith: .success) {
            let p = Parameter(Tensor(scalar: 1, dtype: .float64))
            let before = MemoryPool.counts.bytesInUse
            do {
                var x = p.value
                for _ in 0..<1_000_000 { x = x.sin() }
                #expect(x.requiresGradient && MemoryPool.counts.bytesInUse > before + 60_000_000)
            }
            #expect(MemoryPool.counts.bytesInUse == before)
        }
    }

    @Test func diamondsAreReleasedWithoutRecursion() async {
        await #expect(processExitsWith: .success) {
            let p = Parameter(Tensor(scalar: 1, dtype: .float64))
            let before = MemoryPool.counts.bytesInUse
            for backward in [false, true] {
                var x = p.value
                for i in 0..<200_000 { x = (x + x.squared()) * (i % 2 == 0 ? 0.5 : 0.25) }
                if backward { x.backward() }
            }
            #expect(p.gradient?.item.isFinite == true)
            p.clearGradient()
            #expect(MemoryPool.counts.bytesInUse <= before + 64)
        }
    }

    @Test func concatenatedAndConvolvedChainsAreReleasedWithoutRecursion() async {
        await #expect(processExitsWith: .success) {
            let w = Parameter(Tensor.ones([1, 1, 1, 1])), b = Parameter(Tensor.ones([1]))
            let m = Parameter(Tensor.ones([1, 1]))
            var x = Tensor.ones([1, 1, 1, 1])
            var y = Tensor.ones([1, 1])
            for _ in 0..<100_000 {
                x = x.convolved(weight: w.value, bias: b.value, window: Window(kernel: 1))
                // The bias itself is computed: a pullback must not hold its node.
                y = Tensor.concatenate([y, y]).slice(0..<1).linear(weight: m.value, bias: y.reshaped(to: [1]))
            }
            #expect(x.requiresGradient && y.requiresGradient)
        }
    }

    @Test func aSteadyStepTakesNothingFromTheSystemAndCopiesNothing() async {
        await #expect(processExitsWith: .success) {
            var stream = RandomStream(seed: 1, purpose: .user)
            func weights(_ shape: Shape) -> Parameter {
                Parameter(Tensor(stream.normals(shape.elementCount), shape: shape).converted(to: .float32) * 0.1)
            }
            let kernel = weights([4, 1, 3, 3]), scale = weights([4]), shift = weights([4])
            let first = weights([32, 64]), bias = weights([32]), norm = weights([32]), offset = weights([32])
            let table = weights([10, 32]), last = weights([10, 32])
            let parameters = [kernel, scale, shift, first, bias, norm, offset, table, last]
            let arenas = ParameterArena.arenas(for: parameters)
            let images = weights([8, 1, 8, 8]).value.detached, labels = Tensor((0..<8).map { Int64($0) })
            var losses: [Double] = []
            var before = MemoryPool.counts
            for step in 0..<8 {
                if step == 3 { before = MemoryPool.counts }
                parameters.forEach { $0.clearGradient() }
                let features = images.convolved(
                    weight: kernel.value, bias: nil, window: Window(kernel: 3, padding: 1)
                ).batchNorm(weight: scale.value, bias: shift.value).result.relu().maxPooled(
                    Window(kernel: 2, stride: 2))
                let hidden = features.flattened().linear(weight: first.value, bias: bias.value)
                let residual = (hidden + hidden.gelu() + table.value.rows(at: labels))
                    .layerNorm(weight: norm.value, bias: offset.value).droppedOut(0.1)
                let heads = residual.reshaped(to: [2, 4, 4, 8]).transposed(1, 2)
                let mixed = scaledDotProductAttention(query: heads, key: heads, value: heads, isCausal: true)
                    .transposed(1, 2).reshaped(to: [8, 32])
                let loss = crossEntropy((mixed + residual).linear(weight: last.value, bias: nil), labels)
                loss.backward()
                losses.append(loss.item)
                for arena in arenas { arena.scaleGradients(by: 0.5) }
                for parameter in parameters {
                    parameter.makeExclusive()
                    let (value, gradient) = (parameter.valuePointer, parameter.gradientPointer)
                    let count = parameter.elementCount
                    let p = value.assumingMemoryBound(to: Float.self), g = gradient.assumingMemoryBound(to: Float.self)
                    for i in 0..<count { p[i] -= 0.1 * g[i] }
                }
            }
            let after = MemoryPool.counts
            #expect(after.systemAllocations == before.systemAllocations)
            #expect(after.systemBytes == before.systemBytes)
            #expect(after.storageCopies == before.storageCopies)
            #expect(losses[7] < losses[0])
        }
    }
}
