import Tensors

/// A part of a model: holds parameters, buffers and other modules.
///
/// Stored properties that are a ``Parameter``, a ``Buffer``, a `Module`, or arrays, dictionaries or optionals of them
/// are found by reflection, in declaration order, superclass first; dictionaries in the order of their names. Their
/// property names make the keys, as in PyTorch: `body.0.weight`. A value reached twice counts once, under its first name
/// (tied weights). What would be overlooked is refused with a message: parts in lazy properties, in structs, and in
/// dictionaries whose keys are not strings.
open class Module {
    /// Whether the module is in training mode; dropout and batch norm behave accordingly.
    public private(set) final var isTraining = true

    /// A module without parts.
    public init() {}

    /// The named parts of this module, in order.
    ///
    /// Override only to change the names, as ``Sequential`` does.
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
                if label.hasPrefix(lazyPrefix) {
                    requireNoParts(inLazy: label, child.value)
                    continue
                }
                parts.append((label, child.value))
            }
        }
        return parts
    }

    /// A lazy property is invisible until its first use, so its parameters would appear in the middle of training.
    private func requireNoParts(inLazy label: String, _ value: Any) {
        guard isTypeOfParts(Swift.type(of: value)) || holdsParts(value) else { return }
        let name = label.dropFirst(lazyPrefix.count)
        fail(
            "\(Swift.type(of: self)): the lazy property '\(name)' holds parts that are not seen before its first use; make it a stored property"
        )
    }

    // MARK: - Walking

    /// What a module can be made of.
    enum Part {
        case parameter(Parameter)
        case buffer(Buffer)
        case module(Module)
    }

    /// Calls `visit` for every part below this module, depth first, each object once.
    ///
    /// - Parameters:
    ///   - again: Called with the later key of an object that was met before, and with its first key.
    ///   - visit: Called with a key and the part it stands for.
    final func walk(again: (String, String) -> Void = { _, _ in }, _ visit: (String, Part) -> Void) {
        withoutActuallyEscaping(again) { again in
            withoutActuallyEscaping(visit) { visit in
                var walk = ModuleWalk(visit: visit, again: again)
                walk.begin(at: self)
            }
        }
    }

    // MARK: - Parameters and modes

    /// The parameters with their keys, in declaration order.
    ///
    /// Each parameter is told its key, for messages and optimizer states, unless a larger module told it a longer one:
    /// `generator.parameters` does not take `generator.0.weight` back to `0.weight`.
    public final var namedParameters: [(name: String, parameter: Parameter)] {
        var found: [(String, Parameter)] = []
        walk { key, part in
            if case .parameter(let parameter) = part {
                if !isPartOfName(key, parameter.name) { parameter.name = key }
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
                if !isPartOfName(key, buffer.name) { buffer.name = key }
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

/// Whether a key is the end of a name that a larger module gave.
private func isPartOfName(_ key: String, _ name: String) -> Bool { name.hasSuffix("." + key) }
