import Tensors

/// One walk through the tree below a module.
struct ModuleWalk {
    let visit: (String, Module.Part) -> Void
    let again: (String, String) -> Void
    /// The first key of every object met.
    private var seen: [ObjectIdentifier: String] = [:]
    /// The type of the module whose properties are looked at, for messages.
    private var owner: Any.Type = Module.self

    init(visit: @escaping (String, Module.Part) -> Void, again: @escaping (String, String) -> Void) {
        self.visit = visit
        self.again = again
    }

    /// Visits everything below a module, but not the module itself.
    mutating func begin(at root: Module) {
        seen[ObjectIdentifier(root)] = ""
        descend(into: root, key: "")
    }

    private mutating func descend(into module: Module, key: String) {
        let outer = owner
        owner = type(of: module)
        for (name, part) in module.namedParts { descend(part, key.isEmpty ? name : "\(key).\(name)") }
        owner = outer
    }

    private mutating func isFirst(_ object: AnyObject, _ key: String) -> Bool {
        if let first = seen[ObjectIdentifier(object)] {
            again(key, first)
            return false
        }
        seen[ObjectIdentifier(object)] = key
        return true
    }

    private mutating func descend(_ value: Any, _ key: String) {
        switch value {
        case let parameter as Parameter:
            if isFirst(parameter, key) { visit(key, .parameter(parameter)) }
        case let buffer as Buffer:
            if isFirst(buffer, key) { visit(key, .buffer(buffer)) }
        case let module as Module:
            guard isFirst(module, key) else { return }
            visit(key, .module(module))
            descend(into: module, key: key)
        default:
            descendIntoCollection(value, key)
        }
    }

    private mutating func descendIntoCollection(_ value: Any, _ key: String) {
        let mirror = Mirror(reflecting: value)
        switch mirror.displayStyle {
        case .optional:
            if let wrapped = mirror.children.first { descend(wrapped.value, key) }
        case .collection:
            // Only the first element is looked at before descending: arrays of numbers are not walked.
            guard let first = mirror.children.first, mayHoldParts(first.value) else { return }
            for (index, child) in mirror.children.enumerated() { descend(child.value, "\(key).\(index)") }
        case .dictionary:
            // As with lists, one element decides: vocabularies are not walked.
            guard let pair = mirror.children.first?.value,
                Mirror(reflecting: pair).children.contains(where: { mayHoldParts($0.value) })
            else { return }
            guard let dictionary = value as? [String: Any] else { return refuseParts(in: mirror, key) }
            for name in dictionary.keys.sorted() {
                if let element = dictionary[name] { descend(element, "\(key).\(name)") }
            }
        case .tuple:
            for child in mirror.children {
                let label = child.label.map { $0.hasPrefix(".") ? String($0.dropFirst()) : $0 } ?? ""
                descend(child.value, "\(key).\(label)")
            }
        case .struct, .enum, .set:
            refuseParts(in: mirror, key)
        default: return
        }
    }

    /// Parameters that are not found are not trained, which nobody would notice: better to stop.
    private func refuseParts(in mirror: Mirror, _ key: String) {
        for child in mirror.children where holdsParts(child.value) {
            fail(
                "\(owner): '\(key)' is a \(mirror.subjectType), in which modules, parameters and buffers are not found; hold them in properties of a Module, in arrays, or in dictionaries with String keys"
            )
        }
    }
}

/// What the name of a lazy property's storage begins with.
let lazyPrefix = "$__lazy_storage_$_"

/// Whether a value is a part of a module, or directly holds one.
func holdsParts(_ value: Any) -> Bool {
    if isPart(value) { return true }
    let mirror = Mirror(reflecting: value)
    switch mirror.displayStyle {
    case .optional, .tuple: return mirror.children.contains { holdsParts($0.value) }
    // The elements of a dictionary are pairs.
    case .collection, .dictionary: return mirror.children.first.map { holdsParts($0.value) } ?? false
    default: return false
    }
}

/// Whether a type is that of parts of modules, or of collections of them, as far as can be told without a value.
func isTypeOfParts(_ type: Any.Type) -> Bool {
    if type is Module.Type || type is Parameter.Type || type is Buffer.Type || type == (any Layer).self { return true }
    return (type as? any Holder.Type)?.heldTypes.contains(where: isTypeOfParts) ?? false
}

private func isPart(_ value: Any) -> Bool { value is Parameter || value is Buffer || value is Module }

/// Whether the elements of a list have to be looked at one by one.
private func mayHoldParts(_ value: Any) -> Bool {
    if isPart(value) { return true }
    let mirror = Mirror(reflecting: value)
    switch mirror.displayStyle {
    case .collection, .dictionary, .optional, .tuple: return true
    case .struct, .enum: return mirror.children.contains { holdsParts($0.value) }
    default: return false
    }
}

/// A type that holds values of other types which its own type tells.
private protocol Holder {
    static var heldTypes: [Any.Type] { get }
}

extension Optional: Holder {
    static var heldTypes: [Any.Type] { [Wrapped.self] }
}

extension Array: Holder {
    static var heldTypes: [Any.Type] { [Element.self] }
}

extension Dictionary: Holder {
    static var heldTypes: [Any.Type] { [Value.self] }
}
