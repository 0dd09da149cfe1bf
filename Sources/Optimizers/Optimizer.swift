import Tensors

/// Changes parameters by their gradients. Subclasses say what state they keep and how one run of memory is updated.
///
/// State is kept flat beside the parameters: parameters of one arena are updated in one pass. A parameter whose
/// gradient is missing counts as having a zero gradient, on one rank as on many; a frozen parameter is left alone.
open class Optimizer {
    /// The groups, in order.
    public private(set) var groups: [ParameterGroup]
    private var updates: [Update] = []
    private var signature: [Bool] = []

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
        guard distinct.count == parameters.count else {
            fatalError("\(Self.self): a parameter is given twice")
        }
        self.groups = groups
    }

    /// All parameters, group by group.
    public final var parameters: [Parameter] { groups.flatMap(\.parameters) }

    /// The names of the tensors kept per parameter, such as `momentum`.
    open var slotNames: [String] { [] }

    /// Updates one run. `slots` has one tensor of the run's length for each of ``slotNames``, first zero.
    ///
    /// - Parameters:
    ///   - run: The memory to update.
    ///   - group: The settings.
    ///   - slots: The state; written in place.
    ///   - step: 1 for the first update of these parameters, then 2, …
    open func update(_ run: ParameterRun, group: ParameterGroup, slots: inout [Tensor], step: Int) {
        fatalError("\(Self.self) does not say how to update parameters: override update(_:group:slots:step:)")
    }

    /// Takes one step: every parameter moves by its gradient.
    public final func step() {
        prepareUpdates()
        for index in updates.indices {
            updates[index].step += 1
            let (run, group, step) = (updates[index].run, updates[index].group, updates[index].step)
            run.prepare()
            update(run, group: group, slots: &updates[index].slots, step: step)
        }
    }

    /// Forgets all gradients.
    public final func zeroGradients() {
        for group in groups { for parameter in group.parameters { parameter.clearGradient() } }
    }

    /// Plans which parameters are updated together; again when some were frozen or thawed, or moved to an arena.
    private func prepareUpdates() {
        let now = groups.flatMap { $0.parameters.map(\.requiresGradient) }
        if now == signature, !updates.isEmpty { return }
        signature = now
        let state = updates.isEmpty ? [:] : parameterStates()
        updates = plan(state)
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

    private func plan(_ states: [ObjectIdentifier: ParameterState]) -> [Update] {
        dormant = states
        var plan: [Update] = []
        for group in groups {
            let active = group.parameters.filter(\.requiresGradient)
            let step = { (parameter: Parameter) in states[ObjectIdentifier(parameter)]?.step ?? 0 }
            for run in ParameterRun.runs(of: active, where: { step($0) == step($1) }) {
                var slots = slotNames.map { _ in Tensor.zeros([run.elementCount], dtype: run.dtype) }
                for (parameter, offset) in zip(run.parameters, run.offsets) {
                    guard let saved = states[ObjectIdentifier(parameter)] else { continue }
                    for (index, slot) in saved.slots.enumerated() where index < slots.count {
                        slots[index].write(slot, at: offset)
                    }
                }
                plan.append(Update(group: group, run: run, slots: slots, step: step(run.parameters[0])))
            }
        }
        return plan
    }

    // MARK: - State

    /// The state of every parameter: `<parameter>/<slot>` tensors and `<parameter>/step` counts.
    ///
    /// - Precondition: the parameters have names (their module was walked).
    public final var stateDictionary: StateDictionary {
        var state = StateDictionary()
        let states = updates.isEmpty ? [:] : parameterStates()
        for parameter in parameters {
            guard let saved = states[ObjectIdentifier(parameter)] else { continue }
            for (name, slot) in zip(slotNames, saved.slots) { state["\(parameter.name)/\(name)"] = slot }
            state["\(parameter.name)/step"] = Tensor([Int64(saved.step)])
        }
        return state
    }

    /// Restores what ``stateDictionary`` gave.
    ///
    /// - Throws: ``OptimizerStateError`` when a tensor is missing or has another shape.
    public final func load(_ state: StateDictionary) throws {
        var states: [ObjectIdentifier: ParameterState] = [:]
        for parameter in parameters {
            guard let step = state["\(parameter.name)/step"] else {
                if state.isEmpty { continue }
                throw OptimizerStateError(parameter: parameter.name, problem: "no state for it in the checkpoint")
            }
            var saved = ParameterState(step: Int(step.item))
            for name in slotNames {
                guard let slot = state["\(parameter.name)/\(name)"], slot.shape == parameter.shape,
                    slot.dtype == parameter.dtype
                else {
                    throw OptimizerStateError(
                        parameter: parameter.name,
                        problem: "'\(name)' is missing or not \(parameter.dtype) \(parameter.shape)")
                }
                saved.slots.append(slot)
            }
            states[ObjectIdentifier(parameter)] = saved
        }
        signature = groups.flatMap { $0.parameters.map(\.requiresGradient) }
        updates = plan(states)
    }
}

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
