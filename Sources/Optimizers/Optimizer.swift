import Tensors

/// Changes parameters by their gradients.
///
/// Subclasses say what state they keep and how one run of memory is updated.
///
/// State is kept flat beside the parameters: parameters of one arena are updated in one pass. A parameter whose
/// gradient is missing counts as having a zero gradient, on one rank as on many; a frozen parameter is left alone.
open class Optimizer {
    /// The groups, in order.
    public private(set) var groups: [ParameterGroup]
    private var updates: [Update] = []
    private var signature: [Bool] = []
    /// The generation of arenas in which the plan was last found right.
    private var generation = -1

    /// Steps taken and state kept for one run of neighbouring parameters.
    private struct Update {
        let group: ParameterGroup
        let run: ParameterRun
        var slots: [Tensor]
        var step: Int
    }

    /// An optimizer over groups of parameters.
    ///
    /// - Precondition: no parameter is in two groups or twice in one.
    public init(groups: [ParameterGroup]) {
        let parameters = groups.flatMap(\.parameters)
        let distinct = Set(parameters.map { ObjectIdentifier($0) })
        require(distinct.count == parameters.count, "Optimizer", "\(Self.self): a parameter is given twice")
        self.groups = groups
    }

    /// Adds a group of parameters that are to be updated too, such as a part of a model that was frozen until now.
    ///
    /// - Precondition: none of them is in a group already.
    public final func addGroup(_ group: ParameterGroup) {
        let known = Set((parameters + group.parameters).map { ObjectIdentifier($0) })
        require(
            known.count == parameters.count + group.parameters.count, "Optimizer.addGroup",
            "\(Self.self): a parameter is given twice")
        groups.append(group)
    }

    /// All parameters, group by group.
    public final var parameters: [Parameter] { groups.flatMap(\.parameters) }

    /// The names of the tensors kept per parameter, such as `momentum`.
    open var slotNames: [String] { [] }

    /// Updates one run.
    ///
    /// `slots` has one tensor of the run's length for each of ``slotNames``, first zero.
    ///
    /// - Parameters:
    ///   - run: The memory to update.
    ///   - group: The settings.
    ///   - slots: The state; written in place.
    ///   - step: 1 for the first update of these parameters, then 2, …
    open func update(_ run: ParameterRun, group: ParameterGroup, slots: inout [Tensor], step: Int) {
        fail("\(Self.self) does not say how to update parameters: override update(_:group:slots:step:)")
    }

    /// Takes one step: every parameter moves by its gradient.
    public final func step() {
        prepareUpdates()
        for index in updates.indices {
            updates[index].step += 1
            let (run, group, step) = (updates[index].run, updates[index].group, updates[index].step)
            run.prepare()
            guard run.dtype == .bfloat16, var master = updates[index].slots.popLast() else {
                update(run, group: group, slots: &updates[index].slots, step: step)
                continue
            }
            run.updating(&master) { update($0, group: group, slots: &updates[index].slots, step: step) }
            updates[index].slots.append(master)
        }
    }

    /// Forgets all gradients.
    public final func zeroGradients() {
        for group in groups { for parameter in group.parameters { parameter.clearGradient() } }
    }

    /// Plans which parameters are updated together; again when some were frozen or thawed, or moved in memory.
    private func prepareUpdates() {
        defer { generation = ParameterArena.generation }
        if isSignatureCurrent, generation == ParameterArena.generation || isPlanCurrent { return }
        signature = groups.flatMap { $0.parameters.map { $0.requiresGradient } }
        updates = plan(parameterStates())
    }

    /// Whether the same parameters are frozen as at the last step.
    ///
    /// Asked in each step, so it makes no lists.
    private var isSignatureCurrent: Bool {
        var index = 0
        for group in groups {
            for parameter in group.parameters {
                guard index < signature.count, signature[index] == parameter.requiresGradient else { return false }
                index += 1
            }
        }
        return index == signature.count
    }

    /// Whether the runs are still those that the parameters make in memory.
    private var isPlanCurrent: Bool {
        var index = 0
        for group in groups {
            var planned = 0
            while index < updates.count, updates[index].group === group {
                let run = updates[index].run
                planned += run.parameters.count
                guard run.isCurrent else { return false }
                index += 1
            }
            guard planned == group.parameters.count(where: { $0.requiresGradient }) else { return false }
        }
        return index == updates.count
    }

    private struct ParameterState {
        var step = 0
        var slots: [Tensor] = []
    }

    private func parameterStates() -> [ObjectIdentifier: ParameterState] {
        var states = dormant
        for update in updates {
            for (parameter, offset) in zip(update.run.parameters, update.run.offsets) {
                let slots = update.slots.map {
                    $0.slice(offset..<(offset + parameter.elementCount)).reshaped(to: parameter.shape).copied()
                }
                states[ObjectIdentifier(parameter)] = ParameterState(step: update.step, slots: slots)
            }
        }
        return states
    }

    /// State of parameters that are frozen now.
    private var dormant: [ObjectIdentifier: ParameterState] = [:]

    /// The names of everything kept: for bfloat16 parameters, their values in `float32` come last.
    ///
    /// The values need no beginning: where they do not round to the parameter's own, that one counts.
    private func allSlots(of type: DType) -> [String] { type == .bfloat16 ? slotNames + [masterName] : slotNames }

    private func plan(_ states: [ObjectIdentifier: ParameterState]) -> [Update] {
        var plan: [Update] = []
        for group in groups {
            let active = group.parameters.filter(\.requiresGradient)
            let step = { (parameter: Parameter) in states[ObjectIdentifier(parameter)]?.step ?? 0 }
            for run in ParameterRun.runs(of: active, where: { step($0) == step($1) }) {
                var slots = allSlots(of: run.dtype).map { _ in
                    Tensor.zeros([run.elementCount], dtype: run.stateDType)
                }
                for (parameter, offset) in zip(run.parameters, run.offsets) {
                    guard let saved = states[ObjectIdentifier(parameter)] else { continue }
                    for (index, slot) in saved.slots.enumerated() where index < slots.count {
                        slots[index].write(slot, at: offset)
                    }
                }
                plan.append(Update(group: group, run: run, slots: slots, step: step(run.parameters[0])))
            }
        }
        let active = Set(plan.flatMap { $0.run.parameters.map { ObjectIdentifier($0) } })
        dormant = states.filter { !active.contains($0.key) }
        return plan
    }

    // MARK: - State

    /// The state of every parameter: `<parameter>/<slot>` tensors and `<parameter>/step`, how many steps it has taken.
    ///
    /// A parameter that was never updated has a step count of 0 and no slots.
    /// - Precondition: the parameters have distinct names; a walk through their module, such as asking it for its
    ///   `parameters`, gives them.
    public final var stateDictionary: StateDictionary {
        requireDistinctNames()
        var state = StateDictionary()
        let states = parameterStates()
        for parameter in parameters {
            let saved = states[ObjectIdentifier(parameter)] ?? ParameterState()
            if saved.step > 0 {
                for (name, slot) in zip(allSlots(of: parameter.dtype), saved.slots) {
                    state["\(parameter.name)/\(name)"] = slot
                }
            }
            state["\(parameter.name)/step"] = Tensor([Int64(saved.step)])
        }
        return state
    }

    /// Restores what ``stateDictionary`` gave.
    ///
    /// Nothing is changed when it does not fit.
    ///
    /// State of another precision is converted.
    ///
    /// - Throws: ``OptimizerStateError`` when a tensor is missing, has another shape, or belongs to nothing here.
    public final func load(_ state: StateDictionary) throws {
        requireDistinctNames()
        var states: [ObjectIdentifier: ParameterState] = [:]
        var known: Set<String> = []
        for parameter in parameters {
            guard let step = state["\(parameter.name)/step"] else {
                throw OptimizerStateError(parameter: parameter.name, problem: "there is no saved state for it")
            }
            guard step.elementCount == 1, step.item >= 0 else {
                throw OptimizerStateError(parameter: parameter.name, problem: "'step' is \(step), not a count")
            }
            known.insert("\(parameter.name)/step")
            guard step.item > 0 else { continue }
            var saved = ParameterState(step: Int(step.item))
            for name in allSlots(of: parameter.dtype) {
                let key = "\(parameter.name)/\(name)"
                guard let slot = state[key] ?? newMaster(name, of: parameter) else {
                    throw OptimizerStateError(
                        parameter: parameter.name, problem: "'\(name)' is missing; another kind of optimizer was saved")
                }
                guard slot.shape == parameter.shape, slot.dtype.isFloatingPoint else {
                    throw OptimizerStateError(
                        parameter: parameter.name,
                        problem:
                            "'\(name)' is \(slot.dtype) \(slot.shape) instead of \(parameter.gradientDType) \(parameter.shape)"
                    )
                }
                known.insert(key)
                saved.slots.append(slot.converted(to: parameter.gradientDType))
            }
            // Saved by a run in bfloat16, of no use in another precision.
            known.insert("\(parameter.name)/\(masterName)")
            states[ObjectIdentifier(parameter)] = saved
        }
        if let stranger = state.keys.first(where: { !known.contains($0) }) {
            let parts = stranger.split(separator: "/", omittingEmptySubsequences: false)
            throw OptimizerStateError(
                parameter: parts.dropLast().joined(separator: "/"),
                problem: "there is a saved '\(parts.last ?? "")', which this \(Self.self) has no use for")
        }
        generation = -1
        signature = groups.flatMap { $0.parameters.map(\.requiresGradient) }
        updates = plan(states)
    }

    /// For state that was saved by a run in another precision.
    private func newMaster(_ name: String, of parameter: Parameter) -> Tensor? {
        name == masterName ? Tensor.zeros(parameter.shape, dtype: parameter.gradientDType) : nil
    }

    /// Two parameters of one name would overwrite each other's state.
    private func requireDistinctNames() {
        var seen: Set<String> = []
        for parameter in parameters {
            require(
                !parameter.name.isEmpty && seen.insert(parameter.name).inserted, "Optimizer state",
                "\(parameter.name.isEmpty ? "a parameter has no name" : "two parameters are called '\(parameter.name)'"); "
                    + "ask the module that holds them all for its parameters first")
        }
    }
}

/// What the values of bfloat16 parameters in `float32` are called in a state dictionary.
private let masterName = "master"

/// The saved state of an optimizer does not fit its parameters.
public struct OptimizerStateError: Error, CustomStringConvertible {
    /// The parameter's key.
    public let parameter: String
    /// What is wrong.
    public let problem: String

    /// One line for a user.
    public var description: String { "optimizer state of '\(parameter)': \(problem)" }
}

extension Tensor {
    /// Writes a tensor's elements at a place of this flat tensor.
    fileprivate mutating func write(_ source: Tensor, at offset: Int) {
        replace(offset..<(offset + source.elementCount), with: source.reshaped(to: [source.elementCount]))
    }
}
