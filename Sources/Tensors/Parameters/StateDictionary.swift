/// Named tensors in a fixed order: what a module or an optimizer saves and loads.
public struct StateDictionary: Sendable, Sequence {
    /// The names, in insertion order.
    public private(set) var keys: [String] = []
    private var tensors: [String: Tensor] = [:]

    /// An empty dictionary.
    public init() {}

    /// The tensor under a name; setting nil removes it.
    public subscript(key: String) -> Tensor? {
        get { tensors[key] }
        set {
            if let newValue {
                if tensors.updateValue(newValue.detached, forKey: key) == nil { keys.append(key) }
            } else if tensors.removeValue(forKey: key) != nil {
                keys.removeAll { $0 == key }
            }
        }
    }

    /// The number of tensors.
    public var count: Int { keys.count }
    /// Whether there are none.
    public var isEmpty: Bool { keys.isEmpty }

    /// The names and tensors, in insertion order.
    public func makeIterator() -> AnyIterator<(key: String, tensor: Tensor)> {
        var position = 0
        return AnyIterator {
            guard position < keys.count, let tensor = tensors[keys[position]] else { return nil }
            defer { position += 1 }
            return (keys[position], tensor)
        }
    }
}
