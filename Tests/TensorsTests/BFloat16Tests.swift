import Tensors
import TestSupport
import Testing

/// Numbers of 16 bits: rounding, conversion, and every operation against the same in `float32`.
struct BFloat16Tests {
    /// The nearest bfloat16 to a double, found by trying the neighbours of its upper half.
    private func nearest(_ value: Double) -> UInt16 {
        let start = Int(Float(value).bitPattern >> 16)
        let candidates = (start - 2...start + 2).filter { (0...0xFFFF).contains($0) && ($0 & 0x7FFF) <= 0x7F80 }
        return UInt16(
            candidates.min { a, b in
                func distance(_ bits: Int) -> Double {
                    let number = Double(Float(BFloat16(bitPattern: UInt16(bits))))
                    // Where the next number would be, if there were one, rounding goes over to infinity.
                    return number.isInfinite ? abs(0x1p128 - abs(value)) : abs(number - value)
                }
                let (x, y) = (distance(a), distance(b))
                return x != y ? x < y : a & 1 < b & 1
            } ?? 0)
    }

    @Test func everyNumberComesBack() {
        let all = (0...UInt16.max).map { BFloat16(bitPattern: $0) }
        let tensor = Tensor(all)
        #expect(tensor.dtype == .bfloat16 && tensor.dtype.byteCount == 2)
        let wide = tensor.converted(to: .float32)
        for (number, value) in zip(all, wide.array(of: Float.self)) {
            #expect(value.bitPattern == UInt32(number.bitPattern) << 16)
        }
        for type in [DType.float32, .float64] {
            let back = tensor.converted(to: type).converted(to: .bfloat16).array(of: BFloat16.self)
            for (number, other) in zip(all, back) {
                let isSame = other.bitPattern == number.bitPattern
                #expect(isSame || (Float(number).isNaN && Float(other).isNaN))
            }
        }
    }

    @Test func roundingIsToTheNearestAndOnce() {
        var values: [Double] = [0, -0.0, 1, 1e-45, 3.3895e38, 3.3961e38, 3.4e38, -65_504, 0.1, 1 / 3]
        for bits in stride(from: UInt16(0), to: 0x7F7F, by: 97) {
            let low = Double(Float(BFloat16(bitPattern: bits))), high = Double(Float(BFloat16(bitPattern: bits + 1)))
            let middle = (low + high) / 2
            values += [middle, -middle, middle.nextUp, middle.nextDown, low + (high - low) * 0.49, high.nextDown]
        }
        let expected = values.map(nearest)
        #expect(Tensor(values).converted(to: .bfloat16).array(of: BFloat16.self).map(\.bitPattern) == expected)
        // Those that are floats; the others would be rounded twice.
        let floats = values.map(Float.init), narrow = floats.map { nearest(Double($0)) }
        #expect(Tensor(floats).converted(to: .bfloat16).array(of: BFloat16.self).map(\.bitPattern) == narrow)
        #expect(floats.map { BFloat16($0).bitPattern } == narrow)
        #expect(Float(BFloat16(.nan)).isNaN)
    }

    @Test func otherTypesAndPrinting() {
        let tensor = Tensor([1.0, -2.5, 300]).converted(to: .bfloat16)
        #expect(tensor.converted(to: .int64).array(of: Int64.self) == [1, -2, 300])
        #expect(Tensor([UInt8(7), 200]).converted(to: .bfloat16).doubles == [7, 200])
        #expect(Tensor([Int64(257), -1]).converted(to: .bfloat16).doubles == [256, -1])
        #expect("\(tensor)" == "Tensor(bfloat16, [3], [1.0, -2.5, 300.0])")
        #expect(tensor[1].item == -2.5)
        #expect("\(BFloat16(0.5))" == "0.5")
        #expect(DType.$standard.withValue(.bfloat16) { Tensor.ones([2]).dtype } == .bfloat16)
        #expect(Tensor.ones([2]).dtype == .float32)
        // Comparisons are of numbers, not of bits.
        let zero: BFloat16 = 0.0, negative = BFloat16(-0.0), nothing = BFloat16(.nan)
        #expect(zero == negative && zero.hashValue == negative.hashValue && nothing != nothing)
    }

    static let names = goldenOperations.keys.sorted().filter { $0 != "converted" }

    /// The same operation on the same rounded inputs in `float32`, but for the rounding of results.
    @Test(arguments: names) func everyOperation(name: String) throws {
        let golden = try #require(try GoldenTests.file.get().cases.first { $0.name == name })
        let operation = try #require(goldenOperations[name])
        func run(_ type: DType) -> (results: [Tensor], gradients: [Tensor]) {
            let parameters = golden.inputs.map {
                $0.dtype == .int64 ? nil : Parameter($0.converted(to: .bfloat16).converted(to: type))
            }
            let results = operation.apply(zip(golden.inputs, parameters).map { $1?.value ?? $0 })
            weightedSum(results)?.backward()
            return (results.map(\.detached), parameters.compactMap { $0?.gradient })
        }
        let (expected, narrow) = (run(.float32), run(.bfloat16))
        #expect(expected.gradients.count == narrow.gradients.count)
        for (wanted, result) in zip(expected.results, narrow.results) {
            // Losses and accuracies stay in float32; indices and masks are exact.
            #expect(result.dtype == (wanted.dtype == .float32 ? result.dtype : wanted.dtype))
            let scale = wanted.doubles.filter(\.isFinite).reduce(1) { Swift.max($0, abs($1)) }
            expectClose(result, wanted, relative: 0x1p-7, absolute: 0x1p-8 * scale, "'\(name)'")
        }
        for (wanted, gradient) in zip(expected.gradients, narrow.gradients) {
            #expect(gradient.dtype == .float32)
            let scale = wanted.doubles.reduce(1) { Swift.max($0, abs($1)) }
            expectClose(gradient, wanted, relative: 0x1p-6, absolute: 0x1p-6 * scale, "gradient of '\(name)'")
        }
    }

    @Test func everyLayout() {
        withEvery(dtypes: [.bfloat16]) { tensor, dense, name in
            expectSameBits(tensor.copied(), dense, name)
            expectSameBits((tensor * 2 + 1).tanh(), (dense * 2 + 1).tanh(), name)
            expectSameBits(tensor.sum(), dense.sum(), name)
        }
        withEveryPair(shapes: ReferenceTests.pairShapes, dtypes: [.bfloat16]) { a, b, name in
            let wide = a.converted(to: .float32) * b.converted(to: .float32)
            expectSameBits(a * b, wide.converted(to: .bfloat16), name)
        }
    }

    /// Long pieces, on either side of the blocks in which bfloat16 is widened.
    @Test(arguments: [511, 512, 513, 40_000]) func blocks(count: Int) {
        let a = sampleValues([count], dtype: .bfloat16), b = sampleValues([count], dtype: .bfloat16, seed: 1)
        let (x, y) = (a.converted(to: .float32), b.converted(to: .float32))
        for (narrow, wide) in [
            (a + b, x + y), (a.gelu(), x.gelu()), (a * 3, x * 3),
            (a.clamped(to: -1...0.5), x.clamped(to: -1...0.5)),
            (Tensor.select(where: a .< b, a, b), Tensor.select(where: x .< y, x, y)),
        ] {
            expectSameBits(narrow, wide.converted(to: .bfloat16))
        }
        expectSameBits(a .<= b, x .<= y)
    }
}
