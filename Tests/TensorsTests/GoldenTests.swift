import Foundation
import Tensors
import TestSupport
import Testing

/// Every operation against PyTorch, from the numbers that `Tests/Scripts/make_golden.py` makes.
struct GoldenTests {
    static let file = Result { try GoldenFile("operations", in: .module) }
    static let names = goldenOperations.keys.sorted()

    @Test func everyCaseHasItsOperation() throws {
        let cases = try Self.file.get().cases.map(\.name)
        #expect(cases.sorted() == Self.names)
    }

    @Test(arguments: names) func valuesAndGradients(name: String) throws {
        let golden = try #require(try Self.file.get().cases.first { $0.name == name })
        let operation = try #require(goldenOperations[name])
        for dtype in [DType.float64, .float32] {
            let parameters = golden.inputs.map { $0.dtype == .int64 ? nil : Parameter($0.converted(to: dtype)) }
            let results = operation.apply(zip(golden.inputs, parameters).map { $1?.value ?? $0 })
            // Conversions to `float32` round, whatever they start from.
            let single = dtype == .float32 || results.contains { $0.dtype == .float32 }
            let tolerance = single ? operation.tolerance : 4e-15
            let gradientTolerance = single ? operation.gradientTolerance : 2e-15
            #expect(results.count == golden.values(.float64).count)
            for (i, (result, expected)) in zip(results, golden.values(.float64)).enumerated() {
                expectClose(
                    result, expected, relative: tolerance, absolute: tolerance, "\(dtype) result \(i) of '\(name)'")
            }
            // PyTorch's own float32 results: within both sides' rounding of each other.
            for (result, expected) in zip(results, golden.values(.float32)) where single {
                expectClose(
                    result, expected, relative: 2 * tolerance, absolute: 2 * tolerance,
                    "\(dtype) against float32 of '\(name)'")
            }
            let gradients = golden.gradients(.float64)
            let score = weightedSum(results)
            #expect((score != nil) == !gradients.isEmpty)
            guard let score else { continue }
            score.backward()
            for (i, (parameter, expected)) in zip(parameters.compactMap { $0 }, gradients).enumerated() {
                let gradient = try #require(parameter.gradient, "input \(i) of '\(name)' got no gradient")
                #expect(gradient.dtype == dtype)
                let scale = expected.doubles.reduce(1) { Swift.max($0, abs($1)) }
                expectClose(
                    gradient, expected, relative: gradientTolerance, absolute: gradientTolerance * scale,
                    "\(dtype) gradient \(i) of '\(name)'")
            }
        }
    }
}
