import Foundation
import Tensors
import TestSupport
import Testing

/// Tensors are values: nobody's elements change because somebody else writes.
struct ValueTests {
    private func fill(_ tensor: inout Tensor, _ value: Float) {
        tensor.withUnsafeMutableBytes { bytes in
            for i in 0..<(bytes.count / 4) { bytes.storeBytes(of: value, toByteOffset: 4 * i, as: Float.self) }
        }
    }

    @Test func copiesAreIndependent() {
        let a = Tensor([1, 2, 3, 4] as [Float])
        var b = a
        fill(&b, 9)
        #expect(a.doubles == [1, 2, 3, 4] && b.doubles == [9, 9, 9, 9])
        let c = b
        fill(&b, 7)
        #expect(c.doubles == [9, 9, 9, 9] && b.doubles == [7, 7, 7, 7])
    }

    @Test func viewsAreIndependent() {
        var base = Tensor((0..<12).map { Float($0) }, shape: [3, 4])
        let views = [
            base.reshaped(to: [4, 3]), base.transposed(), base[1], base.slice(1..<3, along: 1), base.permuted([1, 0]),
            base.slice(0..<1).expanded(to: [5, 4]), base.flattened(from: 0), base.expandingDimension(at: 0),
        ]
        let before = views.map(\.doubles)
        fill(&base, -1)
        #expect(base.doubles == Array(repeating: -1, count: 12))
        #expect(views.map(\.doubles) == before)
        let untouched = base
        for var view in views {
            fill(&view, 5)
            #expect(view.doubles.allSatisfy { $0 == 5 })
        }
        #expect(untouched.doubles == Array(repeating: -1, count: 12))
    }

    @Test func operatorsInPlaceOfVariables() {
        let a = Tensor([1, 2] as [Float])
        var b = a
        b += a
        b *= b
        b -= a
        #expect(b.doubles == [3, 14] && a.doubles == [1, 2])
    }

    @Test(arguments: [false, true]) func oldValuesOfParametersSurviveAnUpdate(inArena: Bool) {
        let parameter = Parameter(Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3]))
        let neighbour = Parameter(Tensor([7, 8] as [Float]))
        let arena = inArena ? ParameterArena([parameter, neighbour], dtype: .float32) : nil
        let old = parameter.value
        let view = old.transposed()
        let row = parameter.value.detached[1]
        func update(by amount: Float) {
            parameter.makeExclusive()
            let p = parameter.valuePointer.assumingMemoryBound(to: Float.self)
            for i in 0..<6 { p[i] += amount }
        }
        update(by: 10)
        #expect(old.doubles == [1, 2, 3, 4, 5, 6])
        #expect(view.doubles == [1, 4, 2, 5, 3, 6])
        #expect(row.doubles == [4, 5, 6])
        #expect(parameter.value.doubles == [11, 12, 13, 14, 15, 16])
        let second = parameter.value
        update(by: 100)
        update(by: 100)
        #expect(second.doubles == [11, 12, 13, 14, 15, 16])
        #expect(old.doubles == [1, 2, 3, 4, 5, 6])
        #expect(neighbour.value.doubles == [7, 8])
        if let arena {
            // The parameter kept its place in the flat memory; the old values moved out.
            let flat = arena.valuePointer.assumingMemoryBound(to: Float.self)
            #expect((0..<6).map { flat[$0] } == [211, 212, 213, 214, 215, 216])
            #expect(arena.offsets == [0, 16] && arena.elementCount == 32)
            #expect((6..<16).allSatisfy { flat[$0] == 0 } && flat[16] == 7)
        }
        // Writing an old tensor does not reach the parameter either.
        var copy = second.detached
        fill(&copy, 0)
        #expect(parameter.value.doubles == [211, 212, 213, 214, 215, 216])
    }

    @Test func gradientsUseTheValuesOfTheForwardPass() {
        let w = Parameter(Tensor([3] as [Float]))
        _ = ParameterArena([w], dtype: .float32)
        let y = (w.value * w.value).sum()
        w.assign(Tensor([100] as [Float]))
        y.backward()
        #expect(w.gradient?.doubles == [6])
        #expect(w.value.doubles == [100])
    }

    @Test func assigningAParameterToItself() {
        let w = Parameter(Tensor([1, 2, 3, 4] as [Float], shape: [2, 2]))
        w.assign(w.value)
        #expect(w.value.doubles == [1, 2, 3, 4])
        w.assign(w.value.transposed())
        #expect(w.value.doubles == [1, 3, 2, 4])
    }

    @Test func arenasHoldGradientsInPlace() {
        let a = Parameter(Tensor([1, 2, 3] as [Float])), b = Parameter(Tensor([4, 5] as [Float]))
        let c = Parameter(Tensor([6] as [Double]))
        b.setGradient(Tensor([0.5, 0.25] as [Float]))
        let arenas = ParameterArena.arenas(for: [a, c, b])
        #expect(arenas.map(\.dtype) == [.float32, .float64])
        #expect(arenas[0].parameters.map { $0 === a || $0 === b } == [true, true])
        #expect(b.gradient?.doubles == [0.5, 0.25])
        (a.value * 2).sum().backward()
        arenas[0].scaleGradients(by: 10)
        let flat = arenas[0].gradientPointer.assumingMemoryBound(to: Float.self)
        #expect((0..<18).map { flat[$0] } == [20, 20, 20] + [Float](repeating: 0, count: 13) + [5, 2.5])
        #expect(a.gradient?.doubles == [20, 20, 20] && b.gradient?.doubles == [5, 2.5])
    }

    @Test func clippingAndTheFiniteCheck() {
        let p = Parameter(Tensor([3, -4] as [Float]))
        #expect(p.gradientSquareSum == 0 && p.isGradientFinite)
        p.setGradient(Tensor([3, -4] as [Float]))
        #expect(p.gradientSquareSum == 25)
        p.scaleGradient(by: 2)
        p.clampGradient(to: 7)
        #expect(p.gradient?.doubles == [6, -7] && p.isGradientFinite)
        for bad in [Float.nan, .infinity, -.infinity] {
            p.setGradient(Tensor([1, bad]))
            #expect(!p.isGradientFinite)
        }
        // Every place in and after a vector's width.
        for place in 0..<37 {
            let q = Parameter(Tensor.zeros([37]))
            var numbers = [Float](repeating: 1, count: 37)
            numbers[place] = .nan
            q.setGradient(Tensor(numbers))
            #expect(!q.isGradientFinite)
        }
        // Squares beyond float32's range are summed in double precision.
        p.setGradient(Tensor([1e30, 1e30] as [Float]))
        expectClose([p.gradientSquareSum], [2e60], relative: 1e-6)
    }

    @Test func viewsMoveNoData() {
        let base = Tensor((0..<24).map { Float($0) }, shape: [2, 3, 4])
        func address(_ tensor: Tensor) -> UInt { tensor.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } }
        let start = address(base)
        #expect(address(base.reshaped(to: [6, 4])) == start)
        #expect(address(base.flattened()) == start)
        #expect(address(base[1]) == start + 48)
        #expect(address(base.transposed(0, 2).transposed(0, 2)) == start)
        #expect(address(base.transposed().expandingDimension(at: 1).squeezed(1).transposed()) == start)
        #expect(address(base.contiguous()) == start)
        #expect(base.slice(1..<2, along: 1).squeezed(1).isContiguous == false)
        #expect(address(base.copied()) != start)
    }

    @Test func stateDictionariesKeepOrderAndValues() {
        var state = StateDictionary()
        state["b"] = Tensor([1, 2] as [Float])
        state["a"] = Tensor([3] as [Float])
        state["b"] = Tensor([4, 5] as [Float])
        #expect(state.keys == ["b", "a"] && state.count == 2 && !state.isEmpty)
        #expect(state.map { $0.tensor.doubles } == [[4, 5], [3]])
        state["b"] = nil
        state["missing"] = nil
        #expect(state.keys == ["a"])
        let p = Parameter(Tensor([1] as [Float]))
        state["p"] = p.value
        #expect(state["p"]?.requiresGradient == false)
    }

    @Test func buffersHoldDetachedValues() {
        let p = Parameter(Tensor([1, 2] as [Float]))
        let buffer = Buffer(p.value, isPersistent: false)
        #expect(!buffer.value.requiresGradient && !buffer.isPersistent)
        buffer.value = p.value * 3
        #expect(!buffer.value.requiresGradient && buffer.value.doubles == [3, 6])
    }

    @Test func creation() throws {
        #expect(Tensor.zeros([2, 2]).doubles == [0, 0, 0, 0])
        #expect(Tensor.ones([3], dtype: .uint8).array(of: UInt8.self) == [1, 1, 1])
        #expect(Tensor(filling: -2.5, shape: [2], dtype: .float64).doubles == [-2.5, -2.5])
        #expect(Tensor.range(4).array(of: Int64.self) == [0, 1, 2, 3])
        #expect(Tensor.range(0).elementCount == 0)
        #expect(Tensor(scalar: 7, dtype: .int64).item == 7 && Tensor(scalar: 7).rank == 0)
        let filled = Tensor(shape: [2, 3], dtype: .uint8) { bytes in
            for i in bytes.indices { bytes[i] = UInt8(i) }
        }
        #expect(filled.array(of: UInt8.self) == [0, 1, 2, 3, 4, 5])
        let raw = [Int64(5), -6]
        #expect(raw.withUnsafeBytes { Tensor(bytes: $0, shape: [2], dtype: .int64) }.array(of: Int64.self) == [5, -6])
        #expect("\(Tensor([1.5, 2] as [Float]))" == "Tensor(float32, [2], [1.5, 2.0])")
        #expect("\(Tensor.zeros([3, 4], dtype: .int64))" == "Tensor(int64, [3, 4], [0, 0, 0, 0, 0, 0, 0, 0, …])")
    }

    @Test func shapes() throws {
        var shape: Shape = [2, 3, 4]
        #expect(shape.count == 3 && shape[-1] == 4 && shape.elementCount == 24 && "\(shape)" == "[2, 3, 4]")
        shape[-2] = 5
        #expect(shape == [2, 5, 4] && shape != [2, 5] && shape.hashValue == Shape([2, 5, 4]).hashValue)
        #expect(Shape([]).elementCount == 1 && Array(Shape(repeating: 7, count: 2)) == [7, 7])
        #expect(Set(smallShapes).count == smallShapes.count)
        let coded = try JSONEncoder().encode(shape)
        #expect(String(decoding: coded, as: UTF8.self) == "[2,5,4]")
        #expect(try JSONDecoder().decode(Shape.self, from: coded) == shape)
        // A damaged file is the world's mistake: it throws.
        for bad in ["[1,1,1,1,1,1,1,1,1]", "[2,-1]"] {
            #expect(throws: DecodingError.self) { try JSONDecoder().decode(Shape.self, from: Data(bad.utf8)) }
        }
        #expect(Window(kernel: 2) == Window(kernel: (2, 2)) && Window(kernel: 2) != Window(kernel: 2, stride: 2))
    }
}
