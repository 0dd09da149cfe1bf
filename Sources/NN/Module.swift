import Tensors

/// A part of a model: holds parameters, buffers and other modules.
///
/// Stored properties that are a ``Parameter``, a ``Buffer``, a `Module`, or arrays, dictionaries or optionals of them
/// are found by reflection, in declaration order, superclass first. Their property names make the keys, as in PyTorch:
/// `body.0.weight`. A value reached twice counts once, under its first name (tied weights).
open class Module {
    /// Whether the module is in training mode; dropout and batch norm behave accordingly.
    public private(set) final var isTraining = true

    /// A module without parts.
    public init() {}

    /// The named parts of this module, in order. Override only to change the names, as ``Sequential`` does.
    open var namedParts: [(name: String, part: Any)] {
        var parts: [(String, Any)] = []
        var mirrors: [Mirror] = []
        var next: Mirror? = Mirror(reflecting: self)
        while let mirror = next {
            mirrors.append(mirror)
            next = mirror.superclassMirror
        }
        for mirror in mirrors.reversed() {
            for child in mirror.children {
                guard let label = child.label else { continue }
                if label.hasPrefix("$__lazy_storage_$_") {
                    requireNoModuleState(label, child.value)
                    continue
                }
                parts.append((label, child.value))
            }
        }
        return parts
    }

    /// A lazy property is invisible until its first use, so its parameters would appear in the middle of training.
    private func requireNoModuleState(_ label: String, _ value: Any) {
        let type = String(describing: Swift.type(of: value))
        guard ["Parameter", "Buffer", "Linear", "Module", "Sequential"].contains(where: type.contains) else { return }
        fatalError(
            "\(Swift.type(of: self)): lazy property '\(label.dropFirst(18))' holds parameters; make it a stored property")
    }

    // MARK: - Walking

    /// What a module can be made of.
    enum Part {
        case parameter(Parameter)
        case buffer(Buffer)
        case module(Module)
    }

    /// Calls `visit` for every part below this module, depth first, each object once.
    final func walk(_ visit: (String, Part) -> Void) {
        var seen: Set<ObjectIdentifier> = [ObjectIdentifier(self)]
        walk(prefix: "", &seen, visit)
    }

    private func walk(prefix: String, _ seen: inout Set<ObjectIdentifier>, _ visit: (String, Part) -> Void) {
        for (name, part) in namedParts {
            Self.descend(part, prefix.isEmpty ? name : "\(prefix).\(name)", &seen, visit)
        }
    }

    private static func descend(
        _ value: Any, _ key: String, _ seen: inout Set<ObjectIdentifier>, _ visit: (String, Part) -> Void
    ) {
        switch value {
        case let parameter as Parameter:
            if seen.insert(ObjectIdentifier(parameter)).inserted { visit(key, .parameter(parameter)) }
        case let buffer as Buffer:
            if seen.insert(ObjectIdentifier(buffer)).inserted { visit(key, .buffer(buffer)) }
        case let module as Module:
            guard seen.insert(ObjectIdentifier(module)).inserted else { return }
            visit(key, .module(module))
            module.walk(prefix: key, &seen, visit)
        default:
            let mirror = Mirror(reflecting: value)
            switch mirror.displayStyle {
            case .optional:
                if let wrapped = mirror.children.first { descend(wrapped.value, key, &seen, visit) }
            case .collection:
                // Only the first element is looked at before descending: arrays of numbers are not walked.
                guard let first = mirror.children.first, mayHoldParts(first.value) else { return }
                for (index, child) in mirror.children.enumerated() {
                    descend(child.value, "\(key).\(index)", &seen, visit)
                }
            case .dictionary:
                guard let dictionary = value as? [String: Any] else { return }
                for name in dictionary.keys.sorted() {
                    if let element = dictionary[name] { descend(element, "\(key).\(name)", &seen, visit) }
                }
            case .tuple:
                for child in mirror.children {
                    let label = child.label.map { $0.hasPrefix(".") ? String($0.dropFirst()) : $0 } ?? ""
                    descend(child.value, "\(key).\(label)", &seen, visit)
                }
            default: return
            }
        }
    }

    private static func mayHoldParts(_ value: Any) -> Bool {
        if value is Parameter || value is Buffer || value is Module { return true }
        switch Mirror(reflecting: value).displayStyle {
        case .collection, .dictionary, .optional, .tuple: return true
        default: return false
        }
    }

    // MARK: - Parameters and modes

    /// The parameters with their keys, in declaration order.
    public final var namedParameters: [(name: String, parameter: Parameter)] {
        var found: [(String, Parameter)] = []
        walk { key, part in
            if case .parameter(let parameter) = part {
                parameter.name = key
                found.append((key, parameter))
            }
        }
        return found
    }

    /// The parameters, in declaration order.
    public final var parameters: [Parameter] { namedParameters.map(\.parameter) }

    /// The buffers with their keys, in declaration order.
    public final var namedBuffers: [(name: String, buffer: Buffer)] {
        var found: [(String, Buffer)] = []
        walk { key, part in
            if case .buffer(let buffer) = part {
                buffer.name = key
                found.append((key, buffer))
            }
        }
        return found
    }

    /// The modules below this one with their keys, depth first.
    public final var namedModules: [(name: String, module: Module)] {
        var found: [(String, Module)] = []
        walk { key, part in
            if case .module(let module) = part { found.append((key, module)) }
        }
        return found
    }

    /// Puts this module and all below it in training mode, or in evaluation mode.
    public final func train(_ training: Bool = true) {
        isTraining = training
        for (_, module) in namedModules { module.isTraining = training }
    }

    /// Puts this module and all below it in evaluation mode.
    public final func evaluate() { train(false) }

    /// The training mode of this module and of each below it; give it back to ``restoreModes(_:)``.
    package final var modes: [(module: Module, isTraining: Bool)] {
        [(self, isTraining)] + namedModules.map { ($0.module, $0.module.isTraining) }
    }

    /// Puts each module back in the mode it had.
    package final func restoreModes(_ modes: [(module: Module, isTraining: Bool)]) {
        for (module, training) in modes { module.isTraining = training }
    }

    /// Stops gradients to all parameters and enters evaluation mode.
    public final func freeze() {
        for parameter in parameters { parameter.requiresGradient = false }
        evaluate()
    }

    /// Lets gradients flow to all parameters and enters training mode.
    public final func unfreeze() {
        for parameter in parameters { parameter.requiresGradient = true }
        train()
    }
}
