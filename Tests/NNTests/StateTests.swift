import NN
import Tensors
import TestSupport
import Testing

/// State dictionaries: what is saved, what fits, and that nothing changes when it does not.
struct StateTests {
    private final class Model: Module {
        let body = Linear(2, 3)
        let norm = BatchNorm(3)
        let scratch = Buffer(.zeros([2]), isPersistent: false)
        let wide = Parameter(Tensor([1.5, 2.5]))
    }

    private static let keys = [
        "body.weight", "body.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var",
        "norm.num_batches_tracked", "wide",
    ]

    @Test func aCopyOfEverythingThatLasts() {
        let model = Model()
        let state = model.stateDictionary
        #expect(state.keys == Self.keys)
        let weight = model.body.weight.value.doubles
        model.body.weight.assign(.zeros([3, 2]))
        model.norm.runningMean.value = .ones([3])
        #expect(state["body.weight"]?.doubles == weight)
        #expect(state["norm.running_mean"]?.doubles == [0, 0, 0])
        #expect(state["wide"]?.dtype == .float64)
        #expect(state["body.weight"]?.requiresGradient == false)
    }

    @Test func loadingCopies() throws {
        let (a, b) = (Model(), Model())
        var state = a.stateDictionary
        state["norm.running_mean"] = .ones([3])
        try b.load(state)
        for (key, tensor) in b.stateDictionary { expectSameBits(tensor, try #require(state[key])) }
        b.body.weight.assign(.zeros([3, 2]))
        #expect(state["body.weight"]?.doubles != [0, 0, 0, 0, 0, 0])
        // The other order of keys is the same state.
        var backwards = StateDictionary()
        for key in state.keys.reversed() { backwards[key] = state[key] }
        try b.load(backwards)
        expectSameBits(b.body.weight.value.detached, a.body.weight.value.detached)
        // Loading keeps the parameter's identity and its arena.
        let arena = ParameterArena.arenas(for: b.parameters)
        try b.load(state)
        expectSameBits(b.wide.value.detached, Tensor([1.5, 2.5]))
        #expect(arena.count == 2)
    }

    private func misfit() -> StateDictionary {
        var state = Model().stateDictionary
        state["body.weight"] = .ones([2, 3])
        state["wide"] = .ones([2], dtype: .int64)
        state["norm.num_batches_tracked"] = Tensor([Int64(5)])
        state["body.bias"] = nil
        state["norm.running_var"] = nil
        state["head.weight"] = .ones([1])
        state["scratch"] = .ones([2])
        state["norm.weight"] = .zeros([3])
        return state
    }

    @Test func everyDifferenceIsTold() throws {
        let model = Model()
        let before = model.stateDictionary
        let mismatch = try #require(throws: StateMismatch.self) { try model.load(misfit()) }
        #expect(
            mismatch.description == """
                the saved state is not that of this model:
                  missing from the file: body.bias, norm.running_var
                  not in the model: head.weight, scratch
                  different: body.weight: model float32 [3, 2], file float32 [2, 3]; \
                norm.num_batches_tracked: model int64 [], file int64 [1]; wide: model float64 [2], file int64 [2]
                """)
        #expect(mismatch.missing == ["body.bias", "norm.running_var"])
        #expect(mismatch.unexpected == ["head.weight", "scratch"])
        #expect(mismatch.different.count == 3)
        for (key, tensor) in model.stateDictionary { expectSameBits(tensor, try #require(before[key]), key) }
        #expect(model.scratch.value.doubles == [0, 0])
    }

    @Test func conversionKeepsIdentityAndWhatIsNoFloatingPointNumber() throws {
        let model = Model()
        let weight = model.body.weight, before = model.stateDictionary
        model.body.bias?.setGradient(.ones([3]))
        for type in [DType.float64, .bfloat16, .float32] {
            model.convert(to: type)
            #expect(model.parameters.allSatisfy { $0.dtype == type && $0.gradient == nil })
            #expect(model.norm.runningMean.value.dtype == type && model.scratch.value.dtype == type)
            #expect(model.norm.batchCount.value.dtype == .int64)
            #expect(model.body.weight === weight)
            let result = model.norm(model.body(.ones([4, 2], dtype: type)))
            #expect(result.dtype == type)
            result.mean().backward()
            #expect(weight.gradient?.dtype == (type == .bfloat16 ? .float32 : type))
            // A state of any floating-point type fits.
            try model.load(before)
            let rounded = try #require(before["body.weight"]).converted(to: type)
            expectSameBits(model.body.weight.value.detached, rounded)
        }
        // Out of an arena, and into another one.
        _ = ParameterArena.arenas(for: model.parameters)
        model.convert(to: .bfloat16)
        let arena = ParameterArena.arenas(for: model.parameters)
        #expect(arena.count == 1 && arena[0].gradientDType == .float32)
        expectSameBits(
            model.body.weight.value.detached, try #require(before["body.weight"]).converted(to: .bfloat16))
    }

    @Test func notStrict() throws {
        let model = Model()
        let before = model.stateDictionary
        // Shapes must still fit.
        let mismatch = try #require(throws: StateMismatch.self) { try model.load(misfit(), strict: false) }
        #expect(mismatch.missing.isEmpty && mismatch.unexpected.isEmpty && mismatch.different.count == 3)
        for (key, tensor) in model.stateDictionary { expectSameBits(tensor, try #require(before[key]), key) }

        var part = StateDictionary()
        part["body.bias"] = Tensor([Float(1), 2, 3])
        part["unknown"] = .ones([1])
        try model.load(part, strict: false)
        #expect(model.body.bias?.value.doubles == [1, 2, 3])
        expectSameBits(model.body.weight.value.detached, try #require(before["body.weight"]))
        try model.load(StateDictionary(), strict: false)
        #expect(throws: StateMismatch.self) { try model.load(part) }
        let missing = try #require(throws: StateMismatch.self) { try model.load(StateDictionary()) }
        #expect(missing.missing == Self.keys)
        #expect(missing.description.split(separator: "\n").count == 2)
    }

    private final class Tied: Module {
        let tokens = Embedding(2, 2)
        let head: Linear
        let shared: Sequential
        override init() {
            let layer = Linear(2, 2)
            head = layer
            shared = Sequential { layer }
        }
    }

    /// PyTorch saves a tied weight under all its keys, and any of them will do.
    @Test func tiedKeys() throws {
        let model = Tied()
        #expect(model.stateDictionary.keys == ["tokens.weight", "head.weight", "head.bias"])
        var state = model.stateDictionary
        state["shared.0.weight"] = state["head.weight"]
        state["shared.0.bias"] = state["head.bias"]
        try model.load(state)
        let weight = Tensor([Float(1), 2, 3, 4], shape: [2, 2])
        state["head.weight"] = nil
        state["shared.0.weight"] = weight
        try model.load(state)
        expectSameBits(model.head.weight.value.detached, weight)
        // The first key counts.
        state["head.weight"] = .zeros([2, 2])
        try model.load(state)
        #expect(model.head.weight.value.doubles == [0, 0, 0, 0])
        state["shared.0.other"] = weight
        state["shared.01.weight"] = weight
        state["head.weight"] = nil
        state["shared.0.weight"] = nil
        let mismatch = try #require(throws: StateMismatch.self) { try model.load(state) }
        #expect(mismatch.unexpected == ["shared.0.other", "shared.01.weight"])
        #expect(mismatch.missing == ["head.weight"])
    }
}
