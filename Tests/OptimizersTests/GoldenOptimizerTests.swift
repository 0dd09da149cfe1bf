import Foundation
import Optimizers
import Tensors
import TestSupport
import Testing

/// The parameters of every golden case, with the names that the file has for them.
struct GoldenParameters {
    static let golden = Result { try GoldenTensors("optimizers", in: .module) }
    static let names = ["matrix", "vector", "number"]
    static let stepCount = 24

    let parameters: [Parameter]
    let dtype: DType

    init(_ dtype: DType) throws {
        let golden = try Self.golden.get()
        self.dtype = dtype
        parameters = try Self.names.map { Parameter(try golden("begin/\($0)").converted(to: dtype)) }
    }

    var matrix: Parameter { parameters[0] }
    var vector: Parameter { parameters[1] }
    var number: Parameter { parameters[2] }

    /// Gives the gradients of a step, counted from 0; a gradient of zeros may be left away.
    func setGradients(_ step: Int, leavingZerosAway: Bool = false) throws {
        let golden = try Self.golden.get()
        for (name, parameter) in zip(Self.names, parameters) {
            let gradient = try golden("gradients/\(step)/\(name)").converted(to: dtype)
            if leavingZerosAway && gradient.doubles.allSatisfy({ $0 == 0 }) {
                parameter.clearGradient()
            } else {
                parameter.setGradient(gradient)
            }
        }
    }

    var values: [Tensor] { parameters.map { $0.value.detached } }
}

/// One case of `make_optimizer_golden.py`.
struct GoldenOptimizer: Sendable {
    let make: @Sendable (GoldenParameters) -> Optimizer

    static func sgd(
        rate: Double = 0.1, momentum: Double = 0, dampening: Double = 0, decay: Double = 0, isNesterov: Bool = false
    ) -> GoldenOptimizer {
        GoldenOptimizer {
            SGD(
                $0.parameters, learningRate: rate, momentum: momentum, dampening: dampening, weightDecay: decay,
                isNesterov: isNesterov)
        }
    }

    static func groups(_ p: GoldenParameters, _ rate: Double) -> [ParameterGroup] {
        [
            ParameterGroup([p.matrix], learningRate: 0.05, weightDecay: 0.2),
            ParameterGroup([p.vector], learningRate: rate, weightDecay: 0),
            ParameterGroup([p.number], learningRate: rate),
        ]
    }

    static let all: [String: GoldenOptimizer] = [
        "sgd": .sgd(),
        "sgd.decay": .sgd(decay: 0.05),
        "sgd.momentum": .sgd(momentum: 0.9),
        "sgd.dampening": .sgd(momentum: 0.8, dampening: 0.3, decay: 0.01),
        "sgd.nesterov": .sgd(rate: 0.05, momentum: 0.9, decay: 0.01, isNesterov: true),
        "sgd.groups": .init { SGD(groups: groups($0, 0.1), momentum: 0.9, weightDecay: 0.1) },
        "adam": .init { Adam($0.parameters) },
        "adam.settings": .init {
            Adam($0.parameters, learningRate: 0.03, betas: (0.8, 0.95), epsilon: 1e-3, weightDecay: 0.1)
        },
        "adam.amsgrad": .init { Adam($0.parameters, learningRate: 0.02, isAMSGrad: true) },
        "adamw": .init { AdamW($0.parameters) },
        "adamw.settings": .init { AdamW($0.parameters, learningRate: 0.03, betas: (0.8, 0.95), weightDecay: 0.3) },
        "adamw.amsgrad": .init { AdamW($0.parameters, learningRate: 0.02, weightDecay: 0.1, isAMSGrad: true) },
        "adamw.groups": .init { AdamW(groups: groups($0, 0.02)) },
    ]
    static let names = all.keys.sorted()
}

/// 24 steps of every optimizer against PyTorch, in both precisions.
struct GoldenOptimizerTests {
    @Test func everyCaseIsTested() throws {
        let cases = Set(try GoldenParameters.golden.get().names.map { String($0.prefix { $0 != "/" }) })
        #expect(cases == Set(GoldenOptimizer.names).union(["begin", "gradients", "schedule", "clipping"]))
    }

    @Test(arguments: GoldenOptimizer.names, [DType.float32, .float64]) func steps(name: String, dtype: DType) throws {
        let golden = try GoldenParameters.golden.get()
        let plain = try GoldenParameters(dtype)
        let flat = try GoldenParameters(dtype)
        let arenas = ParameterArena.arenas(for: flat.parameters)
        #expect(arenas.count == 1)
        let sparse = try GoldenParameters(dtype)
        let optimizer = try #require(GoldenOptimizer.all[name])
        let optimizers = [plain, flat, sparse].map { ($0, optimizer.make($0)) }
        let kind = dtype == .float32 ? "f4" : "f8"
        var compared = 0
        for step in 0..<GoldenParameters.stepCount {
            for (index, (parameters, optimizer)) in optimizers.enumerated() {
                try parameters.setGradients(step, leavingZerosAway: index == 2)
                optimizer.step()
            }
            for (key, parameter) in zip(GoldenParameters.names, plain.parameters) {
                guard let expected = try? golden("\(name)/\(kind)/\(step + 1)/\(key)") else { continue }
                compared += 1
                // Each step may round once or twice, on each side.
                let tolerance = (dtype == .float32 ? 1.2e-7 : 2.3e-16) * Double(2 + step)
                let scale = expected.doubles.reduce(0.1) { max($0, abs($1)) }
                expectClose(
                    parameter.value, expected, relative: tolerance, absolute: tolerance * scale,
                    "\(name) \(dtype), '\(key)' after step \(step + 1)")
            }
            // In one pass over an arena, and with gradients left away instead of zero, the same bits come out.
            for (a, b) in zip(plain.values, flat.values) { expectSameBits(a, b, "\(name), arena, step \(step + 1)") }
            for (a, b) in zip(plain.values, sparse.values) { expectSameBits(a, b, "\(name), sparse, step \(step + 1)") }
        }
        #expect(compared == 15)
    }
}
