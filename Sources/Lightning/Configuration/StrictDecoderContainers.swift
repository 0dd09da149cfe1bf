struct StrictKeyedContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: StrictDecoder
    let mapping: ConfigurationMapping
    var codingPath: [any CodingKey] { decoder.codingPath }

    /// A type that lists the keys takes those it can name: a dictionary takes all of them.
    var allKeys: [Key] {
        let keys = mapping.entries.compactMap { Key(stringValue: $0.key) }
        for key in keys { ask(key) }
        return keys
    }

    func contains(_ key: Key) -> Bool { ask(key) != nil }

    func decodeNil(forKey key: Key) throws -> Bool { try find(key, Never?.self).isNull }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        if ask(key) == nil, let value = (T.self as? any DefaultInitializable.Type)?.init() as? T { return value }
        return try decoder.descend(to: try find(key, type), key).value(of: type)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try decoder.descend(to: try find(key, [String: Int].self), key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try decoder.descend(to: try find(key, [Int].self), key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        let key = PathKey("super")
        decoder.askedKeys.insert(key.stringValue, decoder.path)
        guard let node = mapping[key.stringValue] else { throw decoder.missing(key, [String: Int].self) }
        return decoder.descend(to: node, key)
    }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        decoder.descend(to: try find(key, [String: Int].self), key)
    }

    @discardableResult
    private func ask(_ key: Key) -> ConfigurationNode? {
        decoder.askedKeys.insert(key.stringValue, decoder.path)
        return mapping[key.stringValue]
    }

    private func find<T>(_ key: Key, _ type: T.Type) throws -> ConfigurationNode {
        guard let node = ask(key) else { throw decoder.missing(key, type) }
        return node
    }
}

struct StrictUnkeyedContainer: UnkeyedDecodingContainer {
    let decoder: StrictDecoder
    let elements: [ConfigurationNode]
    private(set) var currentIndex = 0

    init(decoder: StrictDecoder, elements: [ConfigurationNode]) {
        self.decoder = decoder
        self.elements = elements
    }

    var codingPath: [any CodingKey] { decoder.codingPath }
    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex == elements.count }

    mutating func decodeNil() throws -> Bool {
        guard try next().node.isNull else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let value = try next().value(of: type)
        // An element that failed is still the current one, so that another type can be tried on it.
        currentIndex += 1
        return value
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        let container = try next().container(keyedBy: type)
        currentIndex += 1
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try next().unkeyedContainer()
        currentIndex += 1
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let decoder = try next()
        currentIndex += 1
        return decoder
    }

    private func next() throws -> StrictDecoder {
        guard currentIndex < elements.count else {
            let message = "expected at least \(currentIndex + 1) elements, found \(elements.count)"
            throw decoder.mismatch(.unknown, message)
        }
        return decoder.descend(to: elements[currentIndex], PathKey(currentIndex))
    }
}

struct StrictSingleContainer: SingleValueDecodingContainer {
    let decoder: StrictDecoder
    var codingPath: [any CodingKey] { decoder.codingPath }

    func decodeNil() -> Bool { decoder.node.isNull }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try decoder.value(of: type) }
}
