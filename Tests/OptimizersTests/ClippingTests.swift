import Optimizers
import Tensors
import TestSupport
import Testing

/// Clipped gradients against `torch.nn.utils`.
struct ClippingTests {
    @Test(arguments: ["norm.small", "norm.large", "value"], [DType.float32, .float64])
    func againstPyTorch(name: String, dtype: DType) throws {
        let clippings: [String: GradientClipping] = [
            "norm.small": .norm(0.5), "norm.large": .norm(100), "value": .value(0.75),
        ]
        let clipping = try #require(clippings[name])
        let golden = try GoldenParameters.golden.get()
        let kind = dtype == .float32 ? "f4" : "f8"
        let tolerance = dtype == .float32 ? 3e-7 : 1e-15
        for usesArena in [false, true] {
            let parameters = try GoldenParameters(dtype)
            let arenas = usesArena ? ParameterArena.arenas(for: parameters.parameters) : []
            try parameters.setGradients(2)
            let norm = clipping.clip(parameters.parameters)
            if name == "value" {
                #expect(norm == nil)
            } else {
                let total = try golden("clipping/\(name)/\(kind)/total").doubles
                expectClose([try #require(norm)], total, relative: tolerance)
            }
            for (key, parameter) in zip(GoldenParameters.names, parameters.parameters) {
                expectClose(
                    try #require(parameter.gradient), try golden("clipping/\(name)/\(kind)/\(key)"),
                    relative: tolerance, "\(name) \(dtype) '\(key)'")
            }
            #expect(arenas.count == (usesArena ? 1 : 0))
        }
    }

    @Test func withoutGradients() throws {
        let parameters = try GoldenParameters(.float32).parameters
        #expect(GradientClipping.norm(1).clip(parameters) == 0)
        #expect(GradientClipping.value(1).clip(parameters) == nil)
        #expect(parameters.allSatisfy { !$0.hasGradient })
        #expect(GradientClipping.norm(1).clip([]) == 0)
        #expect(gradientNorm(of: parameters) == 0)
        parameters[1].setGradient(Tensor([Float(3), 0, 0, 4, 0]))
        #expect(gradientNorm(of: parameters) == 5)
        #expect(GradientClipping.norm(5.1).clip(parameters) == 5)
        #expect(parameters[1].gradient?.doubles == [3, 0, 0, 4, 0])
        // All gradients together, whichever parameter they belong to.
        parameters[0].setGradient(Tensor(filling: 6, shape: [3, 4]))
        #expect(GradientClipping.norm(1).clip(parameters) == (25.0 + 36 * 12).squareRoot())
        expectClose([gradientNorm(of: parameters)], [1], relative: 1e-6)
    }

    @Test func misuse() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            GradientClipping.norm(-1).clip([])
        }
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains("GradientClipping: a norm of at most -1.0"), "\(text)")
    }
}
