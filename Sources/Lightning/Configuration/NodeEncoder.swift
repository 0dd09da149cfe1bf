import Foundation

/// Encodes any `Encodable` value to configuration nodes.
///
/// The keys of a struct stand in the order of its declaration, those of a dictionary and the elements of a set are
/// sorted, nil is null: the same value always gives the same tree.
struct NodeEncoder: Encoder {
    fileprivate let builder: NodeBuilder
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    /// The tree of a value.
    static func encode(_ value: some Encodable) throws -> ConfigurationNode {
        let builder = NodeBuilder()
        try builder.put(value, at: [])
        return builder.build()
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        builder.becomeMapping()
        return KeyedEncodingContainer(KeyedNodeContainer<Key>(builder: builder, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        builder.becomeSequence()
        return UnkeyedNodeContainer(builder: builder, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        SingleNodeContainer(builder: builder, codingPath: codingPath)
    }
}

/// A node under construction.
///
/// It is a class because `Encodable` may keep several containers of one value open.
private final class NodeBuilder {
    private enum State {
        case empty
        case scalar(ConfigurationScalar)
        case sequence([NodeBuilder])
        case mapping([(key: String, value: NodeBuilder)])
    }

    private var state = State.empty
    private var style: Mirror.DisplayStyle?

    func put<T: Encodable>(_ value: T, at path: [any CodingKey]) throws {
        if let value = value as? any ConfigurationScalarValue {
            state = .scalar(value.configurationScalar)
            return
        }
        state = .empty
        style = Mirror(reflecting: value).displayStyle
        try value.encode(to: NodeEncoder(builder: self, codingPath: path))
    }

    func putNull() { state = .scalar(.null) }

    func becomeMapping() {
        if case .mapping = state { return }
        state = .mapping([])
    }

    func becomeSequence() {
        if case .sequence = state { return }
        state = .sequence([])
    }

    var count: Int {
        if case .sequence(let elements) = state { elements.count } else { 0 }
    }

    func append() -> NodeBuilder {
        becomeSequence()
        guard case .sequence(var elements) = state else { return self }
        let child = NodeBuilder()
        elements.append(child)
        state = .sequence(elements)
        return child
    }

    func child(_ key: String) -> NodeBuilder {
        becomeMapping()
        guard case .mapping(var entries) = state else { return self }
        if let known = entries.first(where: { $0.key == key }) { return known.value }
        let child = NodeBuilder()
        entries.append((key, child))
        state = .mapping(entries)
        return child
    }

    func build() -> ConfigurationNode {
        switch state {
        case .scalar(let scalar):
            return ConfigurationNode(.scalar(scalar), .defaults)
        case .sequence(let elements):
            var nodes = elements.map { $0.build() }
            // Sets come in another order in every process.
            if style == .set { nodes.sort { $0.sortText < $1.sortText } }
            return ConfigurationNode(.sequence(nodes), .defaults)
        case .empty:
            return ConfigurationNode(.mapping(mapping([])), .defaults)
        case .mapping(let entries):
            var built = entries.map { ConfigurationMapping.Entry(key: $0.key, value: $0.value.build()) }
            if style == .dictionary { built.sort { $0.key < $1.key } }
            return ConfigurationNode(.mapping(mapping(built)), .defaults)
        }
    }

    private func mapping(_ entries: [ConfigurationMapping.Entry]) -> ConfigurationMapping {
        ConfigurationMapping(entries: entries, isWhole: style == .dictionary || style == .enum, hasDefaults: true)
    }
}

extension ConfigurationNode {
    /// A text to sort the elements of a set by.
    fileprivate var sortText: String {
        switch content {
        case .scalar(let scalar): scalar.text
        case .sequence(let elements): elements.map(\.sortText).joined(separator: "\u{0}")
        case .mapping(let mapping):
            mapping.entries.map { "\($0.key)\u{0}\($0.value.sortText)" }.joined(separator: "\u{0}")
        }
    }
}

private struct KeyedNodeContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let builder: NodeBuilder
    let codingPath: [any CodingKey]

    func encodeNil(forKey key: Key) { builder.child(key.stringValue).putNull() }

    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        try builder.child(key.stringValue).put(value, at: codingPath + [key])
    }

    // The synthesized encode(to:) calls these for optional properties, and the standard versions leave nil out. Ours
    // write null, so that a file shows every key there is. One generic method does not replace them: the compiler
    // prefers the standard version made for the concrete type.
    func encodeIfPresent(_ value: Bool?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: String?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: Double?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: Float?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: Int?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: Int8?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: Int16?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: Int32?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: Int64?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: UInt?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: UInt8?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: UInt16?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: UInt32?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws { try put(value, key) }
    func encodeIfPresent<T: Encodable>(_ value: T?, forKey key: Key) throws { try put(value, key) }

    private func put<T: Encodable>(_ value: T?, _ key: Key) throws {
        if let value { try encode(value, forKey: key) } else { encodeNil(forKey: key) }
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        encoder(for: key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        encoder(for: key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { encoder(for: PathKey("super")) }
    func superEncoder(forKey key: Key) -> any Encoder { encoder(for: key) }

    private func encoder(for key: some CodingKey) -> NodeEncoder {
        NodeEncoder(builder: builder.child(key.stringValue), codingPath: codingPath + [key])
    }
}

private struct UnkeyedNodeContainer: UnkeyedEncodingContainer {
    let builder: NodeBuilder
    let codingPath: [any CodingKey]

    var count: Int { builder.count }

    func encodeNil() { builder.append().putNull() }

    func encode<T: Encodable>(_ value: T) throws {
        let path = codingPath + [PathKey(count)]
        try builder.append().put(value, at: path)
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        next().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { next().unkeyedContainer() }
    func superEncoder() -> any Encoder { next() }

    private func next() -> NodeEncoder {
        let path = codingPath + [PathKey(count)]
        return NodeEncoder(builder: builder.append(), codingPath: path)
    }
}

private struct SingleNodeContainer: SingleValueEncodingContainer {
    let builder: NodeBuilder
    let codingPath: [any CodingKey]

    func encodeNil() { builder.putNull() }
    func encode<T: Encodable>(_ value: T) throws { try builder.put(value, at: codingPath) }
}

/// A key of a coding path: the name of an entry, or the index of an element.
struct PathKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(_ name: String) {
        stringValue = name
        intValue = nil
    }

    init(_ index: Int) {
        stringValue = String(index)
        intValue = index
    }

    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { self.init(intValue) }
}
