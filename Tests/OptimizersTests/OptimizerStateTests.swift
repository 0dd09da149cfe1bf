import NN
import Optimizers
import Tensors
import TestSupport
import Testing

/// What optimizers remember: frozen parameters, saving and loading, arenas.
struct OptimizerStateTests {
    /// Three named parameters, as a module would hold them.
    private final class Model: Module {
        let matrix: Parameter
        let vector: Parameter
        let number: Parameter
        let golden: GoldenParameters
        init(_ golden: GoldenParameters) {
            self.golden = golden
            (matrix, vector, number) = (golden.matrix, golden.vector, golden.number)
            super.init()
            _ = parameters
        }

        convenience init(_ dtype: DType = .float32) throws { try self.init(GoldenParameters(dtype)) }

        // The golden parameters are the same objects, in a struct.
        override var namedParts: [(name: String, part: Any)] {
            [("matrix", matrix), ("vector", vector), ("number", number)]
        }

        func train(with optimizer: Optimizer, steps: Range<Int>) throws {
            for step in steps {
                try golden.setGradients(step)
                optimizer.step()
            }
        }
    }

    private func expectSameValues(
        _ a: Model, _ b: Model, _ comment: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for (x, y) in zip(a.golden.values, b.golden.values) {
            expectSameBits(x, y, comment, sourceLocation: sourceLocation)
        }
    }

    @Test(arguments: GoldenOptimizer.names, [DType.float32, .float64]) func aSavedRunGoesOn(name: String, dtype: DType)
        throws
    {
        let make = try #require(GoldenOptimizer.all[name]).make
        let whole = try Model(dtype)
        try whole.train(with: make(whole.golden), steps: 0..<20)
        for usesArena in [false, true] {
            let first = try Model(dtype)
            let before = make(first.golden)
            try first.train(with: before, steps: 0..<9)
            let (weights, state) = (first.stateDictionary, before.stateDictionary)
            // What was saved does not change with the run it came from.
            try first.train(with: before, steps: 9..<12)
            let second = try Model(dtype)
            let arenas = usesArena ? ParameterArena.arenas(for: second.parameters) : []
            #expect(arenas.count == (usesArena ? 1 : 0))
            let after = make(second.golden)
            try second.load(weights)
            try after.load(state)
            for (key, tensor) in after.stateDictionary { expectSameBits(tensor, try #require(state[key]), key) }
            #expect(after.stateDictionary.keys == state.keys)
            try second.train(with: after, steps: 9..<20)
            expectSameValues(second, whole, "\(name), arena \(usesArena)")
        }
    }

    @Test func keys() throws {
        let model = try Model()
        let optimizer = Adam(model.parameters, isAMSGrad: true)
        #expect(optimizer.stateDictionary.keys == ["matrix/step", "vector/step", "number/step"])
        try model.train(with: optimizer, steps: 0..<2)
        let state = optimizer.stateDictionary
        #expect(
            state.keys
                == ["matrix", "vector", "number"].flatMap { name in
                    ["mean", "variance", "largest", "step"].map { "\(name)/\($0)" }
                })
        #expect(state["vector/step"]?.doubles == [2])
        #expect(state["matrix/mean"]?.shape == [3, 4])
        #expect(state["number/largest"]?.shape == [])
        // A state of no steps is one to begin from.
        let fresh = Adam(model.parameters)
        try optimizer.load(fresh.stateDictionary)
        #expect(optimizer.stateDictionary.keys == fresh.stateDictionary.keys)
    }

    /// Each parameter is as if it had an optimizer of its own, stepped only while it was not frozen.
    @Test(arguments: ["sgd.momentum", "sgd.dampening", "adam.settings", "adamw.amsgrad", "sgd"], [false, true])
    func frozenParametersSleep(name: String, usesArena: Bool) throws {
        let make = try #require(GoldenOptimizer.all[name]).make
        let model = try Model()
        let arenas = usesArena ? ParameterArena.arenas(for: model.parameters) : []
        let optimizer = make(model.golden)
        // Which parameters are frozen at which steps; at some, all are.
        let frozen: [[Int]] = [[1], [], [], [0], [0, 2], [0, 1, 2], [0, 1, 2], [1], [], [2], []]
        let alone = try (0..<3).map { _ in try Model() }
        let ownOptimizers = alone.map { make($0.golden) }
        for (step, sleepers) in frozen.enumerated() {
            for (index, parameter) in model.parameters.enumerated() {
                parameter.requiresGradient = !sleepers.contains(index)
            }
            try model.golden.setGradients(step)
            optimizer.step()
            for index in 0..<3 where !sleepers.contains(index) {
                try alone[index].golden.setGradients(step)
                ownOptimizers[index].step()
            }
            for index in 0..<3 {
                expectSameBits(
                    model.golden.values[index], alone[index].golden.values[index],
                    "\(name), parameter \(index) after step \(step)")
                let key = ["matrix", "vector", "number"][index]
                let (state, own) = (optimizer.stateDictionary, ownOptimizers[index].stateDictionary)
                for slot in optimizer.slotNames + ["step"] {
                    guard let expected = own["\(key)/\(slot)"] else { continue }
                    expectSameBits(
                        try #require(state["\(key)/\(slot)"]), expected, "\(name), \(key)/\(slot) after step \(step)")
                }
            }
        }
        #expect(arenas.count == (usesArena ? 1 : 0))
    }

    /// Fine-tuning resumes: a parameter that was never updated has no state, and needs none.
    @Test func savingWithAFrozenParameter() throws {
        func run(_ model: Model, _ optimizer: Optimizer, _ steps: Range<Int>) throws {
            for step in steps {
                model.matrix.requiresGradient = step >= 6
                try model.train(with: optimizer, steps: step..<(step + 1))
            }
        }
        let whole = try Model()
        try run(whole, AdamW(whole.parameters), 0..<12)
        for pause in [0, 3, 6, 8] {
            let (first, second) = (try Model(), try Model())
            let before = AdamW(first.parameters)
            try run(first, before, 0..<pause)
            let after = AdamW(second.parameters)
            second.matrix.requiresGradient = pause >= 6
            try second.load(first.stateDictionary)
            try after.load(before.stateDictionary)
            try run(second, after, pause..<12)
            expectSameValues(second, whole, "paused at \(pause)")
        }
    }

    /// Parameters may move to an arena, or to another one, between steps.
    @Test(arguments: ["adam", "sgd.nesterov"], [0, 3])
    func movingToAnArena(name: String, start: Int) throws {
        let make = try #require(GoldenOptimizer.all[name]).make
        let (still, moving) = (try Model(), try Model())
        let (a, b) = (make(still.golden), make(moving.golden))
        var arenas: [ParameterArena] = []
        for step in 0..<12 {
            if step == start { arenas += ParameterArena.arenas(for: moving.parameters) }
            if step == 6 { arenas.append(ParameterArena(moving.parameters.reversed(), dtype: .float32)) }
            if step == 9 { arenas.append(ParameterArena([moving.matrix, moving.number], dtype: .float32)) }
            try still.train(with: a, steps: step..<(step + 1))
            try moving.train(with: b, steps: step..<(step + 1))
            expectSameValues(still, moving, "\(name), step \(step), in an arena from step \(start)")
        }
        #expect(arenas.count == 3)
    }

    /// Steps of a tenth of the last place of a bfloat16 number add up, as in `float32`.
    @Test(arguments: [false, true]) func smallStepsOfBFloat16ParametersAreNotLost(usesArena: Bool) {
        let narrow = Parameter(Tensor([Float](repeating: 1, count: 70)).converted(to: .bfloat16))
        let wide = Parameter(Tensor([Float](repeating: 1, count: 70)))
        let arenas = usesArena ? ParameterArena.arenas(for: [narrow]) : []
        (narrow.name, wide.name) = ("p", "p")
        let gradient = Tensor((0..<70).map { Float($0) / 70 })
        let (a, b) = (
            SGD([narrow], learningRate: 0.001, momentum: 0.9), SGD([wide], learningRate: 0.001, momentum: 0.9)
        )
        func step(_ optimizers: Optimizer...) {
            narrow.setGradient(gradient)
            wide.setGradient(gradient)
            for optimizer in optimizers { optimizer.step() }
        }
        for _ in 0..<30 { step(a, b) }
        expectSameBits(narrow.value.detached, wide.value.detached.converted(to: .bfloat16))
        #expect(a.stateDictionary.keys == ["p/momentum", "p/master", "p/step"])
        // Values that somebody writes count, and only those.
        narrow.assign(Tensor(filling: 3, shape: [70], dtype: .bfloat16))
        wide.assign(Tensor(filling: 3, shape: [70]))
        for _ in 0..<5 { step(a, b) }
        expectSameBits(narrow.value.detached, wide.value.detached.converted(to: .bfloat16))
        #expect(arenas.count == (usesArena ? 1 : 0))
    }

    /// The state of a run in one precision goes on in another.
    @Test func stateOfAnotherPrecision() throws {
        let types = [DType.float32, .float64, .bfloat16]
        for (from, to) in types.flatMap({ from in types.map { (from, $0) } }) {
            let first = try Model(from), second = try Model(to)
            let (before, after) = (Adam(first.parameters), Adam(second.parameters))
            try first.train(with: before, steps: 0..<5)
            try second.load(first.stateDictionary)
            try after.load(before.stateDictionary)
            try first.train(with: before, steps: 5..<9)
            try second.train(with: after, steps: 5..<9)
            let isNarrow = from == .bfloat16 || to == .bfloat16
            for (x, y) in zip(first.golden.values, second.golden.values) {
                expectClose(y, x, relative: isNarrow ? 0x1p-7 : 1e-5, absolute: isNarrow ? 0x1p-7 : 1e-6)
            }
        }
    }

    private func problem(_ optimizer: Optimizer, _ state: StateDictionary) throws -> String {
        let error = try #require(throws: OptimizerStateError.self) { try optimizer.load(state) }
        return error.description
    }

    @Test func whatDoesNotFit() throws {
        let model = try Model()
        let adam = Adam(model.parameters)
        try model.train(with: adam, steps: 0..<3)
        let state = adam.stateDictionary
        func changed(_ change: (inout StateDictionary) -> Void) -> StateDictionary {
            var copy = state
            change(&copy)
            return copy
        }
        let other = try Model()
        let optimizer = Adam(other.parameters)
        #expect(
            try problem(optimizer, changed { $0["vector/step"] = nil })
                == "optimizer state of 'vector': there is no saved state for it")
        #expect(
            try problem(optimizer, StateDictionary()) == "optimizer state of 'matrix': there is no saved state for it")
        #expect(
            try problem(optimizer, changed { $0["number/variance"] = nil })
                == "optimizer state of 'number': 'variance' is missing; another kind of optimizer was saved")
        #expect(
            try problem(optimizer, changed { $0["matrix/mean"] = .zeros([4, 3]) })
                == "optimizer state of 'matrix': 'mean' is float32 [4, 3] instead of float32 [3, 4]")
        #expect(
            try problem(optimizer, changed { $0["matrix/mean"] = .zeros([3, 4], dtype: .int64) })
                == "optimizer state of 'matrix': 'mean' is int64 [3, 4] instead of float32 [3, 4]")
        #expect(
            try problem(optimizer, changed { $0["head/weight/mean"] = .zeros([1]) })
                == "optimizer state of 'head/weight': there is a saved 'mean', which this Adam has no use for")
        #expect(
            try problem(optimizer, changed { $0["vector/step"] = Tensor([Int64(-1)]) })
                .hasPrefix("optimizer state of 'vector': 'step' is Tensor(int64, [1], [-1]), not a count"))
        #expect(
            try problem(SGD(other.parameters, learningRate: 1), state)
                == "optimizer state of 'matrix': there is a saved 'mean', which this SGD has no use for")
        #expect(
            try problem(Adam(other.parameters, isAMSGrad: true), state)
                == "optimizer state of 'matrix': 'largest' is missing; another kind of optimizer was saved")
        // None of this left a trace.
        #expect(optimizer.stateDictionary["matrix/step"]?.doubles == [0])
        try optimizer.load(state)
        #expect(throws: OptimizerStateError.self) { try optimizer.load(changed { $0["vector/step"] = nil }) }
        for (key, tensor) in optimizer.stateDictionary { expectSameBits(tensor, try #require(state[key]), key) }
    }

    @Test func misuse() async {
        let twice = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let parameter = Parameter(.ones([1]))
            _ = SGD([parameter, parameter], learningRate: 1)
        }
        expectMessage(twice, "Optimizer: SGD: a parameter is given twice")
        let nameless = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = SGD([Parameter(.ones([1]))], learningRate: 1).stateDictionary
        }
        expectMessage(nameless, "a parameter has no name; ask the module that holds them all for its parameters first")
        let namesakes = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let parameters = Linear(1, 1).parameters + Linear(1, 1).parameters
            _ = SGD(parameters, learningRate: 1).stateDictionary
        }
        expectMessage(namesakes, "two parameters are called 'weight'")
        let ahead = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = SGD([Parameter(.ones([1]))], learningRate: 1, isNesterov: true)
        }
        expectMessage(ahead, "SGD: looking ahead takes momentum and no dampening")
        let beta = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = AdamW([Parameter(.ones([1]))], betas: (0.9, 1))
        }
        expectMessage(beta, "Adam: betas (0.9, 1.0) are in 0 ..< 1")
        let rate = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            _ = ParameterGroup([], learningRate: -1)
        }
        expectMessage(rate, "ParameterGroup: learning rate -1.0")
    }

    private func expectMessage(
        _ result: ExitTest.Result?, _ message: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(text.contains(message), "\(text)", sourceLocation: sourceLocation)
    }

    @Test func groupsAndGradients() throws {
        let model = try Model()
        let groups = [
            ParameterGroup([model.vector], learningRate: 0.5, weightDecay: 0, name: "one"),
            ParameterGroup([model.matrix, model.number], learningRate: 0.25),
        ]
        let optimizer = SGD(groups: groups)
        #expect(optimizer.parameters.map(\.name) == ["vector", "matrix", "number"])
        #expect(optimizer.groups.map(\.initialLearningRate) == [0.5, 0.25])
        try model.golden.setGradients(0)
        optimizer.zeroGradients()
        #expect(model.parameters.allSatisfy { !$0.hasGradient })
        let before = model.golden.values
        optimizer.step()
        for (a, b) in zip(before, model.golden.values) { expectSameBits(a, b) }
        model.vector.setGradient(.ones([5]))
        groups[0].learningRate = 2
        optimizer.step()
        expectClose(model.vector.value, before[1] - 2.0, relative: 1e-6, absolute: 1e-6)
        #expect(groups[0].initialLearningRate == 0.5)
        // A value somebody still holds is not written over.
        expectSameBits(before[1], try GoldenParameters.golden.get()("begin/vector"))
        #expect(AdamW(groups: groups).weightDecay == 0.01)
        #expect(AdamW([model.vector]).weightDecay == 0.01)
        #expect(Adam(groups: groups).weightDecay == 0)
    }
}
