import Foundation
import NN
import Tensors
import TestSupport
import Testing

/// Every layer against PyTorch, from the numbers that `Tests/Scripts/make_nn_golden.py` makes.
///
/// PyTorch's numbers are in double precision, so what is allowed is the rounding of the layers' own float32.
struct GoldenTests {
    static let golden = Result { try GoldenTensors("layers", in: .module) }
    static let names = goldenModules.keys.sorted()

    @Test func everyCaseIsTested() throws {
        let moments: Set = ["batchNorm.images", "batchNorm.settings", "batchNorm.cumulative", "batchNorm.rows"]
        let cases = Set(try Self.golden.get().names.map { String($0.prefix { $0 != "/" }) })
        #expect(cases == Set(Self.names).union(moments))
    }

    /// A state as PyTorch saves it.
    private static func state(_ name: String) throws -> StateDictionary {
        var state = StateDictionary()
        for (key, tensor) in try golden.get().below("\(name)/state") { state[key] = tensor }
        return state
    }

    private func expectGradients(of module: Module, _ name: String) throws {
        let golden = try Self.golden.get()
        let expected = golden.below("\(name)/gradient")
        #expect(module.namedParameters.map(\.name) == expected.map(\.name))
        for (key, parameter) in module.namedParameters {
            let wanted = try golden("\(name)/gradient/\(key)")
            let gradient = try #require(parameter.gradient, "\(name): '\(key)' got no gradient")
            let scale = wanted.doubles.reduce(0) { max($0, abs($1)) }
            expectClose(gradient, wanted, relative: 2e-6, absolute: 1e-6 * scale, "\(name), gradient of '\(key)'")
        }
    }

    @Test(arguments: names) func outputsAndGradients(name: String) throws {
        let golden = try Self.golden.get()
        let (module, apply) = try #require(goldenModules[name]).make()
        let state = try Self.state(name)
        // Strict: the keys and shapes are PyTorch's.
        try module.load(state)
        let inputs = golden.below(name).filter { $0.name.hasPrefix("input") && !$0.name.hasPrefix("inputG") }.map(
            \.tensor)
        let places = inputs.map { $0.dtype == .int64 ? nil : Parameter($0) }
        let output = apply(zip(inputs, places).map { $1?.value ?? $0 })
        let wanted = try golden("\(name)/output")
        let scale = wanted.doubles.reduce(0) { max($0, abs($1)) }
        expectClose(output, wanted, relative: 1e-6, absolute: 5e-7 * scale, "\(name), output")
        try #require(weightedSum([output])).backward()
        for (index, place) in places.enumerated() {
            guard let place else { continue }
            let wanted = try golden("\(name)/inputGradient\(index)")
            let scale = wanted.doubles.reduce(0) { max($0, abs($1)) }
            expectClose(
                try #require(place.gradient), wanted, relative: 2e-6, absolute: 1e-6 * scale,
                "\(name), gradient of input \(index)")
        }
        try expectGradients(of: module, name)
        // What comes out again is what PyTorch had, each tied weight once.
        let saved = module.stateDictionary
        #expect(saved.keys == state.keys.filter { $0 != "head.weight" })
        for (key, tensor) in saved { expectSameBits(tensor, try #require(state[key]), "\(name), state '\(key)'") }
    }

    /// The running moments after each of several batches of different sizes.
    @Test(arguments: ["images", "settings", "cumulative", "rows"]) func batchNorm(kind: String) throws {
        let golden = try Self.golden.get()
        let name = "batchNorm.\(kind)"
        let layer =
            switch kind {
            case "settings": BatchNorm(3, epsilon: 1e-2, momentum: 0.4)
            case "cumulative": BatchNorm(3, momentum: nil)
            default: BatchNorm(3)
            }
        try layer.load(Self.state(name))
        let batches = golden.below(name).filter { $0.name.hasPrefix("batch") }.map(\.tensor)
        #expect(batches.count >= 2)
        for (index, batch) in batches.enumerated() {
            let place = Parameter(batch)
            let output = layer(place.value)
            expectClose(
                output, try golden("\(name)/output\(index)"), relative: 2e-6, absolute: 2e-6, "\(name), output \(index)"
            )
            try #require(weightedSum([output])).backward()
            expectClose(
                try #require(place.gradient), try golden("\(name)/inputGradient\(index)"), relative: 2e-6,
                absolute: 2e-6,
                "\(name), gradient of batch \(index)")
            expectClose(
                layer.runningMean.value, try golden("\(name)/mean\(index)"), relative: 1e-6, absolute: 1e-6,
                "\(name), mean \(index)")
            expectClose(
                layer.runningVariance.value, try golden("\(name)/variance\(index)"), relative: 1e-6, absolute: 1e-6,
                "\(name), variance \(index)")
        }
        try expectGradients(of: layer, name)
        expectSameBits(layer.batchCount.value, try golden("\(name)/count"))
        layer.evaluate()
        let before = layer.stateDictionary
        expectClose(
            layer(batches[0]), try golden("\(name)/evaluated"), relative: 2e-6, absolute: 2e-6, "\(name), evaluated")
        for (key, tensor) in layer.stateDictionary { expectSameBits(tensor, try #require(before[key])) }
    }
}
