import Foundation
import Tensors
import TestSupport
import Testing

/// Operations against plain loops over doubles, for every small shape, layout and type.
struct ReferenceTests {
    /// The row-major elements of a broadcast operand: where result element `i` comes from.
    private func spread(_ tensor: Tensor, to shape: Shape) -> [Double] {
        let values = tensor.doubles
        let extra = shape.count - tensor.rank
        return (0..<shape.elementCount).map { i in
            var rest = i, index = 0, step = 1
            for d in (0..<shape.count).reversed() {
                let place = rest % shape[d]
                rest /= shape[d]
                guard d >= extra else { continue }
                let extent = tensor.shape[d - extra]
                if extent != 1 { index += place * step }
                step *= extent
            }
            return values[index]
        }
    }

    private func broadcast(_ a: Shape, _ b: Shape) -> Shape {
        let count = Swift.max(a.count, b.count)
        var shape = Shape(repeating: 1, count: count)
        for i in 0..<count {
            let x = i < count - a.count ? 1 : a[i - (count - a.count)]
            let y = i < count - b.count ? 1 : b[i - (count - b.count)]
            shape[i] = x == 1 ? y : x
        }
        return shape
    }

    static let pairShapes: [(Shape, Shape)] = {
        var pairs: [(Shape, Shape)] = smallShapes.map { ($0, $0) }
        pairs += [([3, 1], [1, 4]), ([2, 3], [3]), ([2, 3], [2, 1]), ([], [2, 3]), ([5], [])]
        pairs += [([2, 1, 3], [4, 1]), ([4, 1], [4, 6]), ([3, 2, 5], [2, 1]), ([3, 1, 5], [2, 1])]
        pairs += [([1, 1, 4], [3, 2, 1]), ([0, 3], [1, 3])]
        return pairs
    }()

    @Test func pairsOfEveryLayout() {
        let operations: [(String, (Tensor, Tensor) -> Tensor, (Double, Double) -> Double)] = [
            ("+", { $0 + $1 }, { $0 + $1 }), ("-", { $0 - $1 }, { $0 - $1 }), ("*", { $0 * $1 }, { $0 * $1 }),
            ("/", { $0 / $1 }, { $0 / $1 }), ("maximum", { Tensor.maximum($0, $1) }, { Swift.max($0, $1) }),
            ("minimum", { Tensor.minimum($0, $1) }, { Swift.min($0, $1) }),
            (".==", { $0 .== $1 }, { $0 == $1 ? 1 : 0 }), (".!=", { $0 .!= $1 }, { $0 != $1 ? 1 : 0 }),
            (".<", { $0 .< $1 }, { $0 < $1 ? 1 : 0 }), (".<=", { $0 .<= $1 }, { $0 <= $1 ? 1 : 0 }),
            (".>", { $0 .> $1 }, { $0 > $1 ? 1 : 0 }), (".>=", { $0 .>= $1 }, { $0 >= $1 ? 1 : 0 }),
            ("select", { Tensor.select(where: $0 .< $1, $1, $0) }, { $0 < $1 ? $1 : $0 }),
        ]
        withEveryPair(shapes: Self.pairShapes) { a, b, name in
            let shape = broadcast(a.shape, b.shape)
            let x = spread(a, to: shape), y = spread(b, to: shape)
            for (symbol, operation, reference) in operations {
                let expected = zip(x, y).map(reference)
                let result = operation(a, b)
                #expect(result.shape == shape)
                // One rounding to float32; float64 is exact.
                expectClose(
                    result.doubles, expected, relative: a.dtype == .float32 ? 6e-8 : 0, "\(symbol), \(name)")
            }
        }
    }

    @Test func integerPairs() {
        let operations: [(String, (Tensor, Tensor) -> Tensor, (Int64, Int64) -> Int64)] = [
            ("+", { $0 + $1 }, { $0 + $1 }), ("*", { $0 * $1 }, { $0 * $1 }),
            ("/", { $0 / $1 }, { $1 == 0 ? 0 : $0 / $1 }),
            ("maximum", { Tensor.maximum($0, $1) }, { Swift.max($0, $1) }),
            (".==", { $0 .== $1 }, { $0 == $1 ? 1 : 0 }), (".<", { $0 .< $1 }, { $0 < $1 ? 1 : 0 }),
        ]
        withEveryPair(shapes: Self.pairShapes, dtypes: [.int64, .uint8]) { a, b, name in
            let shape = broadcast(a.shape, b.shape)
            let x = spread(a, to: shape), y = spread(b, to: shape)
            for (symbol, operation, reference) in operations {
                let expected = zip(x, y).map { Double(reference(Int64($0), Int64($1))) }
                expectClose(operation(a, b).doubles, expected, relative: 0, "\(symbol), \(name)")
            }
        }
    }

    @Test func mapsInEveryLayout() {
        let operations: [(String, (Tensor) -> Tensor, (Double) -> Double)] = [
            ("exp", { $0.exp() }, exp), ("tanh", { $0.tanh() }, tanh), ("sin", { $0.sin() }, sin),
            ("cos", { $0.cos() }, cos), ("squared", { $0.squared() }, { $0 * $0 }),
            ("log", { $0.absolute().log() }, { log(abs($0)) }),
            ("relu", { $0.relu() }, { Swift.max($0, 0) }), ("-", { -$0 }, { -$0 }),
            ("sigmoid", { $0.sigmoid() }, { 1 / (1 + exp(-$0)) }), ("1 -", { 1 - $0 }, { 1 - $0 }),
            ("gelu", { $0.gelu() }, { 0.5 * $0 * erfc(-$0 / 2.0.squareRoot()) }),
            ("clamped", { $0.clamped(to: -0.5...1) }, { Swift.min(Swift.max($0, -0.5), 1) }),
            ("contiguous", { $0.contiguous() }, { $0 }), ("copied", { $0.copied() }, { $0 }),
        ]
        withEvery(shapes: smallShapes + [[0], [2, 0, 3]]) { tensor, _, name in
            // Straight from memory by the element accessor, not by the way being tested.
            let values = tensor.doubles
            for (symbol, operation, reference) in operations {
                let result = operation(tensor)
                #expect(result.shape == tensor.shape && result.dtype == tensor.dtype)
                let single = tensor.dtype == .float32
                expectClose(
                    result.doubles, values.map(reference), relative: single ? 3e-7 : 4e-16,
                    absolute: single ? 1e-7 : 1e-16, "\(symbol), \(name)")
            }
        }
    }

    @Test func conversions() {
        withEvery(dtypes: DType.allCases) { tensor, _, name in
            for target in DType.allCases {
                // Bytes hold no negative numbers.
                let source = target == .uint8 && tensor.dtype.isFloatingPoint ? tensor.absolute() : tensor
                let result = source.converted(to: target)
                #expect(result.dtype == target)
                let expected = source.doubles.map { target.isFloatingPoint ? $0 : $0.rounded(.towardZero) }
                let rounding = target == .float32 ? 0x1p-24 : target == .bfloat16 ? 0x1p-8 : 0
                expectClose(result.doubles, expected, relative: rounding, "\(name) to \(target)")
            }
        }
    }

    @Test func sumsOverEverySubsetOfDimensions() {
        withEvery(shapes: smallShapes + [[3, 0, 2], [2, 37, 3]], dtypes: [.float32, .float64, .int64]) {
            tensor, _, name in
            let values = tensor.doubles
            for subset in 0..<(1 << tensor.rank) {
                let dimensions = (0..<tensor.rank).filter { subset >> $0 & 1 == 1 }
                var kept = tensor.shape
                for d in dimensions { kept[d] = 1 }
                var sums = [Double](repeating: 0, count: kept.elementCount)
                for (i, value) in values.enumerated() {
                    var rest = i, index = 0, step = 1
                    for d in (0..<tensor.rank).reversed() {
                        if kept[d] != 1 { index += rest % tensor.shape[d] * step }
                        rest /= tensor.shape[d]
                        step *= kept[d]
                    }
                    sums[index] += value
                }
                let result = tensor.sum(along: dimensions, keepingDimensions: true)
                #expect(result.shape == kept)
                let single = tensor.dtype == .float32
                expectClose(
                    result.doubles, sums, relative: single ? 3e-7 : 1e-15, absolute: single ? 2e-6 : 4e-15,
                    "sum of \(name) along \(dimensions)")
                #expect(tensor.sum(along: dimensions).elementCount == kept.elementCount)
            }
        }
    }

    @Test func extremesAlongEveryDimension() {
        withEvery(
            shapes: smallShapes, layouts: [.contiguous, .transposed, .sliced], dtypes: [.float32, .float64, .int64]
        ) {
            tensor, _, name in
            for d in 0..<tensor.rank {
                let lanes = tensor.transposed(d, -1).contiguous().reshaped(to: [-1, tensor.shape[d]])
                let rows = (0..<lanes.shape[0]).map { lanes[$0].doubles }
                let largest = rows.map { $0.max() ?? 0 }, smallest = rows.map { $0.min() ?? 0 }
                let places = zip(rows, largest).map { row, value in Double(row.firstIndex(of: value) ?? -1) }
                func inOrder(_ result: Tensor) -> [Double] {
                    result.expandingDimension(at: d).transposed(d, -1).contiguous().doubles
                }
                expectClose(inOrder(tensor.max(along: d)), largest, relative: 0, "max of \(name) along \(d)")
                expectClose(inOrder(tensor.min(along: d)), smallest, relative: 0, "min of \(name) along \(d)")
                expectClose(inOrder(tensor.argmax(along: d)), places, relative: 0, "argmax of \(name) along \(d)")
            }
        }
    }

    @Test func productsInEveryLayout() {
        let shapes: [(Shape, Shape)] = [
            ([2, 3], [3, 4]), ([1, 3], [3, 1]), ([4, 1], [1, 5]), ([1, 1], [1, 1]), ([2, 3, 4], [4, 2]),
            ([3, 2], [2, 2, 1]), ([2, 1, 3, 2], [4, 2, 3]), ([17, 33], [33, 9]), ([2, 0], [0, 3]),
            ([2, 3, 0], [0, 4]),
            ([0, 2], [2, 3]),
        ]
        withEveryPair(shapes: shapes) { a, b, name in
            let rows = a.shape[-2], inner = a.shape[-1], columns = b.shape[-1]
            let batch = broadcast(Shape(a.shape.dropLast(2)), Shape(b.shape.dropLast(2)))
            let x = spread(a, to: Shape(Array(batch) + [rows, inner])),
                y = spread(b, to: Shape(Array(batch) + [inner, columns]))
            var expected: [Double] = []
            for m in 0..<batch.elementCount {
                for i in 0..<rows {
                    for j in 0..<columns {
                        expected.append(
                            (0..<inner).reduce(0) {
                                $0 + x[(m * rows + i) * inner + $1] * y[(m * inner + $1) * columns + j]
                            })
                    }
                }
            }
            let result = a.matmul(b)
            #expect(result.shape == Shape(Array(batch) + [rows, columns]))
            let single = a.dtype == .float32
            expectClose(
                result.doubles, expected, relative: single ? 2e-7 : 4e-16, absolute: single ? 3e-6 : 8e-15,
                "matmul, \(name)")
        }
    }

    @Test func attentionInEveryLayout() {
        for (queries, keys) in [(3, 3), (1, 4), (2, 5)] {
            for isCausal in [false, true] {
                for layout in Layout.allCases {
                    let q = sampleValues([2, 2, queries, 3]), k = sampleValues([2, 2, keys, 3], seed: 1)
                    let v = sampleValues([2, 2, keys, 3], seed: 2)
                    let (lq, lk, lv) = (layout.apply(to: q), layout.apply(to: k), layout.apply(to: v))
                    var scores = lq.matmul(lk.transposed()) / 3.0.squareRoot()
                    if isCausal {
                        let mask = Tensor(
                            (0..<queries * keys).map { UInt8($0 % keys <= $0 / keys + keys - queries ? 1 : 0) },
                            shape: [queries, keys])
                        scores = Tensor.select(where: mask, scores, Tensor(scalar: -1e300, dtype: .float64))
                    }
                    let expected = scores.softmax().matmul(lv)
                    let result = scaledDotProductAttention(query: lq, key: lk, value: lv, isCausal: isCausal)
                    expectClose(result, expected, relative: 1e-14, absolute: 1e-15, "\(queries)×\(keys) \(layout)")
                }
            }
        }
    }

    @Test func attentionOfRepeatedRows() {
        // One query for all positions, as a view of stride 0 between rows.
        let q = sampleValues([1, 2, 1, 4]).expanded(to: [1, 2, 3, 4]), k = sampleValues([1, 2, 5, 4], seed: 1)
        let expected = scaledDotProductAttention(query: q.copied(), key: k, value: k)
        expectClose(
            scaledDotProductAttention(query: q, key: k, value: k), expected, relative: 1e-15, absolute: 1e-16)
    }

    @Test func longSumsStayAccurate() {
        // A million numbers of about 1, in float32: the blocks keep the error near that of one rounding.
        let count = 1_000_000
        let tensor = (sampleValues([count]) * 0.25 + 1).converted(to: .float32)
        let expected = tensor.doubles.reduce(0, +)
        expectClose([tensor.sum().item], [expected], relative: 2e-7)
        expectClose([tensor.mean().item], [expected / Double(count)], relative: 2e-7)
        // Down the columns, as for a bias.
        let columns = tensor.reshaped(to: [-1, 4])
        let exact = columns.converted(to: .float64).sum(along: 0)
        expectClose(columns.sum(along: 0), exact, relative: 3e-6)
        expectClose(tensor.reshaped(to: [-1, 1]).sum(along: 0), Tensor([expected]), relative: 3e-6)
    }

    @Test func hugeAndTinyNumbers() {
        let infinity = Float.infinity
        let x = Tensor([-infinity, -1e4, -104, -88, -0.0, 0, 88, 89, 1e4, infinity, .nan])
        let wide = x.converted(to: .float64)
        for (name, operation) in [
            ("exp", { $0.exp() }), ("tanh", { $0.tanh() }), ("sigmoid", { $0.sigmoid() }), ("relu", { $0.relu() }),
            ("softplus", { $0.softplus() }), ("absolute", { $0.absolute() }), ("square root", { $0.squareRoot() }),
            ("log", { $0.log() }),
        ] as [(String, (Tensor) -> Tensor)] {
            let expected = operation(wide).converted(to: .float32).doubles.map { abs($0) < 1.2e-38 ? 0 : $0 }
            expectClose(operation(x).doubles, expected, relative: 1e-6, absolute: 1.2e-38, name)
        }
        let logits = Tensor([-infinity, 0, 1000, 1000, -1000], shape: [1, 5])
        expectClose(logits.softmax(), Tensor([0, 0, 0.5, 0.5, 0], shape: [1, 5]), relative: 0)
        expectClose(
            logits.logSoftmax().doubles,
            [
                -.infinity, -1000.6931471805599, -0.6931471805599, -0.6931471805599,
                -2000.6931471805599,
            ], relative: 1e-6)
        // A class that is ruled out costs nothing when it is not the label.
        let labels = Tensor([Int64(2)])
        expectClose([negativeLogLikelihood(logits.logSoftmax(), labels).item], [0.6931471805599], relative: 1e-6)
        #expect(Tensor([1, .nan, 3] as [Float]).max().item.isNaN)
        #expect(Tensor([1, .nan, 3] as [Float]).argmax().item == 1)
        #expect(!Tensor([1, infinity]).isFinite && Tensor([1, 2] as [Float]).isFinite)
    }

    @Test func losesNothingOfSmallDifferences() {
        // Means far from 0 beside small deviations: the statistics must be taken about the mean.
        let x = (sampleValues([8, 64]) * 0.01 + 100).converted(to: .float32)
        let wide = x.converted(to: .float64)
        expectClose(
            x.layerNorm(weight: nil, bias: nil), wide.layerNorm(weight: nil, bias: nil), relative: 1e-5,
            absolute: 1e-3)
        let images = x.transposed().contiguous()
        expectClose(
            images.batchNorm(weight: nil, bias: nil).result,
            images.converted(to: .float64)
                .batchNorm(weight: nil, bias: nil).result, relative: 1e-5, absolute: 1e-3)
        expectClose(
            x.variance(along: [1]), wide.variance(along: [1]), relative: 3e-3)
    }

    @Test func powers() {
        let x = Tensor([0, 0.5, 2, -3] as [Double])
        let zero = Parameter(x), two = Parameter(x)
        zero.value.power(0).sum().backward()
        #expect(zero.gradient?.doubles == [0, 0, 0, 0])
        two.value.power(2).sum().backward()
        expectClose(two.gradient?.doubles ?? [], [0, 1, 4, -6], relative: 1e-15)
        let integers = Tensor([3, 2, 5, 0] as [Int64])
        #expect((integers * 3 - 2).array(of: Int64.self) == [7, 4, 13, -2])
        #expect((Tensor([250, 3] as [UInt8]) + 2).array(of: UInt8.self) == [252, 5])
        #expect((Tensor([250, 3] as [UInt8]) - 2).array(of: UInt8.self) == [248, 1])
        #expect((7 / Tensor([2, 0] as [Int64])).array(of: Int64.self) == [3, 0])
    }
}
