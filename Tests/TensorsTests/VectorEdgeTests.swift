import Foundation
import Tensors
import TestSupport
import Testing

/// Sizes on both sides of every vector width and tile, where kernels change from whole vectors to what is left.
struct VectorEdgeTests {
    static let counts = Array(1...70) + [127, 128, 129, 300]

    @Test func rowsOfEveryLength() {
        for columns in Self.counts {
            for dtype in [DType.float32, .float64] {
                let x = sampleValues([3, columns], dtype: dtype) * 3
                let single = dtype == .float32
                let (relative, absolute) = single ? (8e-7, 1e-7) : (4e-15, 1e-15)
                let rows = (0..<3).map { x[$0].doubles }
                let totals = rows.map { row in log(row.map(exp).reduce(0, +)) }
                let logarithms = zip(rows, totals).flatMap { row, total in row.map { $0 - total } }
                expectClose(
                    x.logSoftmax().doubles, logarithms, relative: relative, absolute: 4 * absolute, "\(columns)")
                expectClose(
                    x.softmax().doubles, logarithms.map(exp), relative: relative, absolute: absolute, "\(columns)")
                let labels = Tensor((0..<3).map { Int64($0 * 7 % columns) })
                let picked = (0..<3).map { totals[$0] - rows[$0][$0 * 7 % columns] }
                expectClose(
                    crossEntropy(x, labels, reduction: .none).doubles, picked, relative: relative,
                    absolute: 4 * absolute, "\(columns)")
                expectClose(
                    x.sum(along: 1).doubles, rows.map { $0.reduce(0, +) }, relative: relative, absolute: 30 * absolute)
                expectClose(x.max(along: 1).doubles, rows.map { $0.max() ?? 0 }, relative: 0)
                expectClose(x.min(along: 1).doubles, rows.map { $0.min() ?? 0 }, relative: 0)
                expectClose(
                    x.argmin(along: 1).doubles, rows.map { Double($0.firstIndex(of: $0.min() ?? 0) ?? -1) }, relative: 0
                )
            }
        }
    }

    @Test func attentionOverEveryNumberOfKeys() {
        // Softmax in place, behind a mask that leaves rows of every length.
        for keys in [1, 5, 15, 16, 17, 33, 40] {
            let shape: Shape = [1, 1, keys, 4]
            let q = sampleValues(shape, dtype: .float32), k = sampleValues(shape, dtype: .float32, seed: 1)
            let v = sampleValues(shape, dtype: .float32, seed: 2)
            let wide = [q, k, v].map { $0.converted(to: .float64) }
            let result = scaledDotProductAttention(query: q, key: k, value: v, isCausal: true)
            for i in 0..<keys {
                let scores = wide[0].slice(i..<(i + 1), along: 2).matmul(
                    wide[1].slice(0..<(i + 1), along: 2).transposed())
                let expected = (scores * 0.5).softmax().matmul(wide[2].slice(0..<(i + 1), along: 2))
                expectClose(
                    result.slice(i..<(i + 1), along: 2), expected, relative: 1e-6, absolute: 1e-6, "\(i) of \(keys)")
            }
        }
    }

    @Test func extremesFindANotANumberAnywhere() {
        for columns in [1, 3, 16, 17, 40] {
            for place in 0..<columns {
                for dtype in [DType.float32, .float64] {
                    var numbers = sampleValues([columns]).doubles
                    numbers[place] = .nan
                    if place + 2 < columns { numbers[place + 2] = .nan }
                    let x = Tensor(numbers).converted(to: dtype)
                    #expect(x.max().item.isNaN && x.min().item.isNaN)
                    #expect(x.argmax().item == Double(place) && x.argmin().item == Double(place))
                    #expect(x.softmax().doubles.allSatisfy { $0.isNaN }, "\(place) of \(columns)")
                }
            }
        }
    }

    @Test func strideCopiesOfEveryOrder() {
        for shape in [[37, 50], [3, 33, 20], [18, 2, 35], [2, 17, 3, 19], [16, 16], [64, 1, 48]] as [Shape] {
            for dtype in DType.allCases {
                // Row-major numbers, so that an element tells where it came from.
                let base = Tensor((0..<shape.elementCount).map { Int64($0 % 251) }, shape: shape).converted(to: dtype)
                let strides = (0..<shape.count).map { d in shape[(d + 1)...].reduce(1, *) }
                for order in permutations(of: Array(0..<shape.count)) {
                    let result = base.permuted(order)
                    let extents = order.map { shape[$0] }
                    let expected = (0..<shape.elementCount).map { i in
                        var rest = i, index = 0
                        for d in extents.indices.reversed() {
                            index += rest % extents[d] * strides[order[d]]
                            rest /= extents[d]
                        }
                        return Double(index % 251)
                    }
                    #expect(result.copied().doubles == expected, "\(dtype) \(shape) in order \(order)")
                }
            }
        }
    }

    private func permutations(of items: [Int]) -> [[Int]] {
        guard items.count > 1 else { return [items] }
        return items.flatMap { first in permutations(of: items.filter { $0 != first }).map { [first] + $0 } }
    }

    @Test func poolsOfWideImages() {
        for (width, stride, kernel, padding) in [
            (70, 1, 3, 1), (70, 2, 2, 0), (71, 2, 3, 1), (67, 3, 3, 0), (5, 2, 2, 1),
        ] {
            let height = 9
            let image = sampleValues([1, 2, height, width], dtype: .float32)
            let values = image.doubles
            let window = Window(kernel: kernel, stride: stride, padding: padding)
            let outHeight = (height + 2 * padding - kernel) / stride + 1
            let outWidth = (width + 2 * padding - kernel) / stride + 1
            var largest: [Double] = [], means: [Double] = []
            for c in 0..<2 {
                for oh in 0..<outHeight {
                    for ow in 0..<outWidth {
                        var seen: [Double] = []
                        for h in (oh * stride - padding)..<(oh * stride - padding + kernel) where h >= 0 && h < height {
                            for w in (ow * stride - padding)..<(ow * stride - padding + kernel)
                            where w >= 0 && w < width {
                                seen.append(values[(c * height + h) * width + w])
                            }
                        }
                        largest.append(seen.max() ?? 0)
                        means.append(seen.reduce(0, +) / Double(kernel * kernel))
                    }
                }
            }
            let name = "width \(width), stride \(stride)"
            expectClose(image.maxPooled(window).doubles, largest, relative: 0, name)
            expectClose(image.averagePooled(window).doubles, means, relative: 3e-7, absolute: 1e-7, name)
        }
    }

    @Test func poolsOfEqualAndMissingNumbers() {
        // The first of equal ones gets the gradient, also where all are −∞; a NaN wins.
        let infinity = Double.infinity
        let image = Parameter(
            Tensor(
                [2, 2, -infinity, -infinity, 2, 2, -infinity, -infinity, 1, .nan, 0, -1, 1, 3, -2, 0],
                shape: [1, 1, 4, 4]))
        let result = image.value.maxPooled(Window(kernel: 2, stride: 2))
        expectClose(result.doubles, [2, -infinity, .nan, 0], relative: 0)
        result.backward(gradient: Tensor([1, 2, 3, 4] as [Double], shape: [1, 1, 2, 2]))
        #expect(image.gradient?.doubles == [1, 0, 2, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0, 0])
    }

    @Test func accuracyOfTheFloatFunctions() {
        // Largest relative errors in float32, measured over four million points: exp 8.4e-8, tanh 1.4e-7, log 7.9e-8,
        // sigmoid 1.5e-7, softplus 1.8e-7, GELU 5.5e-7 between −4 and 4.
        func check(
            _ name: String, _ range: ClosedRange<Double>, _ bound: Double, _ function: (Tensor) -> Tensor,
            _ exact: (Double) -> Double
        ) {
            let count = 100_000
            let x = (0..<count).map {
                Float(range.lowerBound + (range.upperBound - range.lowerBound) * Double($0) / Double(count - 1))
            }
            expectClose(
                function(Tensor(x)).doubles, x.map { exact(Double($0)) }, relative: bound, absolute: 1.2e-38, name)
        }
        check("exp", -87.3...88.7, 1e-7, { $0.exp() }, { exp($0) })
        check("log", 1e-30...10, 1e-7, { $0.log() }, { log($0) })
        check("log", 0.9...1.1, 1e-7, { $0.log() }, { log($0) })
        check("log", 10...1e30, 1e-7, { $0.log() }, { log($0) })
        check("tanh", -10...10, 1.6e-7, { $0.tanh() }, { tanh($0) })
        check("tanh", -1e-3...1e-3, 1e-7, { $0.tanh() }, { tanh($0) })
        check("sigmoid", -80...80, 1.7e-7, { $0.sigmoid() }, { 1 / (1 + exp(-$0)) })
        check("softplus", -80...80, 2e-7, { $0.softplus() }, { Swift.max($0, 0) + log1p(exp(-abs($0))) })
        check("gelu", -4...4, 6e-7, { $0.gelu() }, { 0.5 * $0 * erfc(-$0 / 2.0.squareRoot()) })
        check("silu", -80...80, 2e-7, { $0.silu() }, { $0 / (1 + exp(-$0)) })
        // The ends of the number line.
        let ends: [Float] = [
            0, -1, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, Float(bitPattern: 71_362),
            .greatestFiniteMagnitude, -0.0,
        ]
        expectClose(
            Tensor(ends).log().doubles, ends.map { log(Double($0)) }, relative: 1e-7, "logarithms at the ends")
    }
}
