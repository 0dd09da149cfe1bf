import Tensors
import TestSupport
import Testing

/// Gradients made in their parameter's memory are those made elsewhere and copied.
struct GradientPlaceTests {
    private struct Model {
        let table: Parameter, weight: Parameter, bias: Parameter, scale: Parameter, shift: Parameter
        let kernel: Parameter, offset: Parameter
        var all: [Parameter] { [table, weight, bias, scale, shift, kernel, offset] }

        init(_ dtype: DType) {
            func parameter(_ shape: Shape, _ seed: UInt64) -> Parameter {
                Parameter(sampleValues(shape, seed: seed).converted(to: dtype))
            }
            table = parameter([7, 5], 1)
            weight = parameter([7, 5], 2)
            bias = parameter([7], 3)
            scale = parameter([5], 4)
            shift = parameter([5], 5)
            kernel = parameter([4, 3, 2, 2], 6)
            offset = parameter([4], 7)
        }

        /// The table is an embedding and, tied to it, a second linear layer.
        ///
        /// A value that passes through `way` first is not the parameter's own to the operation that uses it.
        func loss(_ way: (Tensor) -> Tensor) -> Tensor {
            let indices = Tensor([3, 0, 3, 6, 2, 3] as [Int64])
            let rows = way(table.value).rows(at: indices)
            let x = rows.layerNorm(weight: way(scale.value), bias: way(shift.value))
            let y = x.linear(weight: way(weight.value), bias: way(bias.value))
            let z = (x * 2).linear(weight: way(table.value), bias: nil)
            let image = x.reshaped(to: [2, 3, 1, 5]).convolved(
                weight: way(kernel.value), bias: way(offset.value), window: Window(kernel: 2, padding: 1))
            return (y.tanh() * z).sum() + image.tanh().sum()
        }
    }

    @Test(arguments: [DType.float64, .float32]) func placesChangeNoGradient(dtype: DType) {
        let direct = Model(dtype), copied = Model(dtype)
        // The second pass adds to the gradients of the first, as micro-batches do; then they start anew.
        for clears in [false, false, true] {
            if clears { for parameter in direct.all + copied.all { parameter.clearGradient() } }
            direct.loss { $0 }.backward()
            copied.loss { $0 * 1 }.backward()
            for (a, b) in zip(direct.all, copied.all) {
                expectClose(
                    a.gradient?.doubles ?? [], b.gradient?.doubles ?? [.nan],
                    relative: 0,
                    absolute: dtype == .float64 ? 1e-12 : 1e-4, "\(dtype) \(a.shape)")
            }
        }
    }

    @Test func oneValueOnBothSides() {
        let p = Parameter(sampleValues([3, 3]))
        let w = p.value
        w.linear(weight: w, bias: nil).sum().backward()
        // d/dW Σ W Wᵀ: every row of the gradient is twice the sum of the rows of W.
        let rows = p.value.detached.sum(along: 0).doubles.map { 2 * $0 }
        expectClose(p.gradient?.doubles ?? [], rows + rows + rows, relative: 1e-14, "both sides")
    }

    /// Counted in a process of its own, for other tests copy at the same time.
    @Test func nothingIsCopiedWhereOperationsKnowPlaces() async {
        await #expect(processExitsWith: .success) {
            let model = Model(.float32)
            let arenas = ParameterArena.arenas(for: model.all)
            func copies(_ body: () -> Void) -> Int {
                let before = MemoryPool.counts.gradientCopies
                body()
                return MemoryPool.counts.gradientCopies - before
            }
            #expect(arenas.count == 1)
            #expect(copies { model.loss { $0 }.backward() } == 0)
            // Products and rows of a table can add; column sums and convolutions cannot: five are copied.
            #expect(copies { model.loss { $0 }.backward() } == 5)
            for parameter in model.all { parameter.clearGradient() }
            // The table is used twice.
            #expect(copies { model.loss { $0 * 1 }.backward() } == 8)
        }
    }
}
