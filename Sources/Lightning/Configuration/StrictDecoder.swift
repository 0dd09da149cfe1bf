/// Decodes `Codable` types from configuration nodes and forgives nothing: no number for a boolean, no `1.0` for an
/// integer, no key that nobody asked for.
///
/// Errors are ordinary `DecodingError`s, so that types which try several forms in turn work as with any decoder. Each
/// carries a `ConfigurationFault` as its underlying error, from which the message to the user is made.
struct StrictDecoder: Decoder {
    let node: ConfigurationNode
    let codingPath: [any CodingKey]
    let askedKeys: AskedKeys
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    var path: [String] { codingPath.map(\.stringValue) }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard let mapping = node.mapping else { throw mismatch(.mapping) }
        askedKeys.open(path)
        return KeyedDecodingContainer(StrictKeyedContainer<Key>(decoder: self, mapping: mapping))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .sequence(let elements) = node.content else { throw mismatch(.list) }
        return StrictUnkeyedContainer(decoder: self, elements: elements)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { StrictSingleContainer(decoder: self) }

    /// The decoder of a value inside this one.
    func descend(to node: ConfigurationNode, _ key: some CodingKey) -> StrictDecoder {
        StrictDecoder(node: node, codingPath: codingPath + [key], askedKeys: askedKeys)
    }
}

/// What was wrong at one place, in a form the caller can both show and work around.
struct ConfigurationFault: Error {
    let origin: ConfigurationOrigin
    /// The value that is wrong, or the mapping in which a key is missing.
    let path: [String]
    let missingKey: String?
    let expected: Expectation
    let message: String

    /// The place where a right value would have to stand.
    var place: [String] { path + (missingKey.map { [$0] } ?? []) }
}

/// The keys that types asked for, by the path of the mapping: these are the valid ones.
///
/// `Codable` has no way to list the keys of a type, but a type must ask for each key it wants. It is a class because a
/// decoder and all its containers are copies that write to the same record, in one thread.
final class AskedKeys {
    private(set) var byPath: [[String]: [String]] = [:]

    func open(_ path: [String]) { byPath[path, default: []] += [] }

    func insert(_ key: String, _ path: [String]) {
        if byPath[path]?.contains(key) != true { byPath[path, default: []].append(key) }
    }

    /// Forgets what a type asked for before it failed, so that the keys of an attempt which the caller gives up for
    /// another do not count as valid.
    func undoing<T>(_ attempt: () throws -> T) throws -> T {
        let before = byPath
        do { return try attempt() } catch {
            byPath = before
            throw error
        }
    }
}

extension StrictDecoder {
    /// The value of this node as a type.
    func value<T: Decodable>(of type: T.Type) throws -> T {
        if let scalarType = T.self as? any ConfigurationScalarValue.Type {
            guard let value = try scalar(scalarType) as? T else { throw mismatch(scalarType.expectation) }
            return value
        }
        let decoder = try layingDefaults(of: type)
        return try askedKeys.undoing {
            do { return try T(from: decoder) } catch { throw decoder.located(error, decoding: type) }
        }
    }

    private func scalar<S: ConfigurationScalarValue>(_ type: S.Type) throws -> S {
        guard case .scalar(let scalar) = node.content else { throw mismatch(S.expectation) }
        if let value = S(configuration: scalar) { return value }
        switch S.expectation {
        case .integer(let range) where scalar.isInteger:
            throw mismatch(S.expectation, "expected an integer \(range), found \(scalar.text)")
        case .number where scalar.isNumber:
            throw mismatch(S.expectation, "expected a number that a \(S.self) can hold, found \(scalar.text)")
        default: throw mismatch(S.expectation)
        }
    }

    /// Lays this node over `T()` when the type has defaults and nobody has laid any under the node before.
    private func layingDefaults<T>(of type: T.Type) throws -> StrictDecoder {
        guard let type = T.self as? any DefaultInitializable.Type, node.isBlank || node.mapping?.hasDefaults == false
        else { return self }
        let laid = node.laid(over: try NodeEncoder.encode(type.init()))
        return StrictDecoder(node: laid, codingPath: codingPath, askedKeys: askedKeys)
    }

    func mismatch(_ expected: Expectation, _ message: String? = nil) -> DecodingError {
        let message = message ?? "expected \(expected.description), found \(node.description)"
        let context = context(fault(expected, message))
        return node.isNull ? .valueNotFound(Any.self, context) : .typeMismatch(Any.self, context)
    }

    func missing<T>(_ key: any CodingKey, _ type: T.Type) -> DecodingError {
        let name = key.stringValue
        let fault = ConfigurationFault(
            origin: node.origin, path: path, missingKey: name, expected: Self.expectation(of: type),
            message: "missing key '\(name)'")
        return .keyNotFound(key, context(fault))
    }

    private func context(_ fault: ConfigurationFault) -> DecodingError.Context {
        .init(codingPath: codingPath, debugDescription: fault.message, underlyingError: fault)
    }

    private func fault(_ expected: Expectation, _ message: String) -> ConfigurationFault {
        .init(origin: node.origin, path: path, missingKey: nil, expected: expected, message: message)
    }

    /// Gives an error that a type threw its place in the configuration, if it has none yet.
    private func located<T>(_ error: any Error, decoding type: T.Type) -> any Error {
        guard let decodingError = error as? DecodingError, let context = decodingError.context else {
            return DecodingError.dataCorrupted(self.context(fault(.unknown, "\(error)")))
        }
        if context.underlyingError is ConfigurationFault { return error }
        let inner = context.codingPath.map(\.stringValue)
        let isHere = inner == path
        if isHere, let allowed = Self.allowedValues(of: type), case .scalar(let scalar) = node.content {
            var message = "unknown value \(scalar.description); "
            if let near = NearestWord.of(scalar.text, among: allowed) { message += "did you mean '\(near)'? " }
            message += "allowed: \(allowed.joined(separator: ", "))"
            return DecodingError.dataCorrupted(self.context(fault(.oneOf(allowed), message)))
        }
        var place = self
        if let node = node.node(at: inner.dropFirst(path.count)), inner.starts(with: path) {
            place = StrictDecoder(node: node, codingPath: context.codingPath, askedKeys: askedKeys)
        }
        let words = context.debugDescription
        let message = words.hasSuffix(".") ? String(words.dropLast()) : words
        return DecodingError.dataCorrupted(place.context(place.fault(.unknown, message)))
    }

    /// The scalars an enum with raw values accepts, if it can list its cases.
    private static func allowedValues<T>(of type: T.Type) -> [String]? {
        func list<E: CaseIterable>(_ type: E.Type) -> [String]? {
            let values = E.allCases.compactMap { one -> String? in
                guard let one = one as? any RawRepresentable else { return nil }
                return (one.rawValue as? any ConfigurationScalarValue)?.configurationScalar.text
            }
            return values.isEmpty ? nil : values
        }
        return (T.self as? any CaseIterable.Type).flatMap { list($0) }
    }

    private static func expectation<T>(of type: T.Type) -> Expectation {
        if let type = T.self as? any ConfigurationScalarValue.Type { return type.expectation }
        if let allowed = allowedValues(of: type) { return .oneOf(allowed) }
        return T.self is any ExpressibleByArrayLiteral.Type ? .list : .mapping
    }
}

extension DecodingError {
    fileprivate var context: Context? {
        switch self {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
            .dataCorrupted(let context):
            context
        @unknown default: nil
        }
    }

    /// The fault this error carries, when it comes from a `StrictDecoder`.
    var fault: ConfigurationFault? { context?.underlyingError as? ConfigurationFault }
}
