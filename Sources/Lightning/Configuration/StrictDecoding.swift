/// One decoding of a section that finds all problems and not only the first.
///
/// A type's `init(from:)` stops at its first error. So the value at fault is noted, taken out of the user's tree or
/// exchanged for a stand-in, and the type is decoded again, until it succeeds; then the keys it asked for are compared
/// with the keys there are. No answer is invented on the way: with any problem noted the result is an error.
/// Working with real errors, and not with values returned in their place, keeps types right that try several forms
/// with `try?`.
///
/// Keys of a mapping are judged only when its type was decoded to the end.
struct StrictDecoding {
    /// The whole tree of the user; it loses what was found wrong.
    private var user: ConfigurationNode
    private let defaults: ConfigurationNode?
    private let section: [String]

    private var faults: [ConfigurationFault] = []
    /// Stand-ins put where a value was wrong or missing; nothing at or below them is worth a message.
    private var standIns: [[String]: Int] = [:]
    /// Mappings in which an enum without a likely meaning was replaced: it may decide which keys are valid.
    private var undecided: Set<[String]> = []

    /// A type that needs more repairs than this does not get better by them.
    private static let repairLimit = 500

    init(user: ConfigurationNode, defaults: ConfigurationNode?, section: [String]) {
        self.user = user
        self.defaults = defaults
        self.section = section
    }

    /// Decodes the section.
    ///
    /// - Throws: `ConfigurationError` with every problem found.
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        for _ in 0..<Self.repairLimit {
            let keys = AskedKeys()
            do {
                let value = try attempt(type, keys)
                let unknown = unknownKeys(keys)
                guard faults.isEmpty, unknown.isEmpty else { throw report(unknown) }
                return value
            } catch let error as DecodingError {
                guard let fault = error.fault else { throw error }
                note(fault)
                guard repair(fault) else { break }
            }
        }
        throw report([])
    }

    private func attempt<T: Decodable>(_ type: T.Type, _ keys: AskedKeys) throws -> T {
        var decoder = StrictDecoder(node: user, codingPath: [], askedKeys: keys)
        for (depth, name) in section.enumerated() {
            let key = PathKey(name)
            if decoder.node.mapping == nil, !decoder.node.isBlank { throw decoder.mismatch(.mapping) }
            if let child = decoder.node.mapping?[name] {
                decoder = decoder.descend(to: child, key)
            } else if defaults == nil, !(T.self is any DefaultInitializable.Type) {
                throw decoder.missing(key, type)
            } else {
                // A section left out is an empty one.
                let empty = ConfigurationNode(.mapping(.init()), decoder.node.origin)
                let rest = section[depth...].map { PathKey($0) }
                decoder = StrictDecoder(
                    node: defaults ?? empty, codingPath: decoder.codingPath + rest, askedKeys: keys)
                break
            }
        }
        if let defaults {
            let laid = decoder.node.laid(over: defaults)
            decoder = StrictDecoder(node: laid, codingPath: decoder.codingPath, askedKeys: keys)
        }
        return try decoder.value(of: type)
    }

    private mutating func note(_ fault: ConfigurationFault) {
        let place = fault.place
        let isBelowStandIn = (0...place.count).contains { standIns[Array(place.prefix($0))] != nil }
        if !isBelowStandIn { faults.append(fault) }
    }

    /// Changes the user's tree so that the next attempt gets past the fault; false when nothing is left to try.
    private mutating func repair(_ fault: ConfigurationFault) -> Bool {
        let place = fault.place
        let tries = standIns[place, default: 0]
        standIns[place] = tries + 1
        // The first try takes the value away, which brings the default back if there is one. An element of a list
        // cannot be taken away without renumbering the others, and of a missing key there is nothing to take.
        let isElement = user.node(at: place.dropLast()).map { $0.mapping == nil } ?? true
        if tries == 0, fault.missingKey == nil, !isElement, let wrong = user.node(at: place) {
            if case .oneOf(let allowed) = fault.expected, case .scalar(let scalar) = wrong.content {
                if let near = NearestWord.of(scalar.text, among: allowed) {
                    user.set(standIn(.oneOf([near])), at: place)
                    return true
                }
                undecided.insert(Array(place.dropLast()))
            }
            user.set(nil, at: place)
            return true
        }
        guard tries < 4, let value = standIn(fault.expected) else { return false }
        user.set(value, at: place)
        return true
    }

    private func standIn(_ expected: Expectation) -> ConfigurationNode? {
        func scalar(_ text: String) -> ConfigurationNode {
            ConfigurationNode(.scalar(.init(text: text, isPlain: true)), .defaults)
        }
        switch expected {
        case .boolean: return scalar("false")
        case .integer, .number: return scalar("0")
        case .string: return scalar("unknown")
        case .oneOf(let allowed): return allowed.first.map(scalar)
        case .list: return ConfigurationNode(.sequence([]), .defaults)
        case .mapping: return ConfigurationNode(.mapping(.init()), .defaults)
        case .unknown: return nil
        }
    }

    /// The keys the user wrote and no type asked for, with the mapping's path and valid keys.
    private func unknownKeys(_ asked: AskedKeys) -> [UnknownKey] {
        // Sorted, because several mappings may stand on one line.
        asked.byPath.sorted { $0.key.lexicographicallyPrecedes($1.key) }.flatMap { path, valid -> [UnknownKey] in
            guard !undecided.contains(path), let mapping = user.node(at: path)?.mapping else { return [] }
            return mapping.unknownKeys(valid: valid, at: path)
        }
    }

    private func report(_ unknown: [UnknownKey]) -> ConfigurationError {
        // "missing maxEpochs" says nothing new beside "unknown maxEpoch; did you mean maxEpochs?".
        let misspelt = Set(unknown.compactMap { key in key.suggestion.map { key.path + [$0] } })
        let others = faults.filter { $0.missingKey == nil || !misspelt.contains($0.place) }
        return ConfigurationError(
            others.map { .init($0.origin, $0.path, $0.message) }
                + unknown.map { .init($0.origin, $0.path, $0.message) })
    }
}

/// A key that no type asked for.
struct UnknownKey {
    let key: String
    let path: [String]
    let origin: ConfigurationOrigin
    let suggestion: String?
    let valid: [String]

    var message: String {
        if let suggestion { return "unknown key '\(key)'; did you mean '\(suggestion)'?" }
        return valid.isEmpty
            ? "unknown key '\(key)'; no keys are allowed here"
            : "unknown key '\(key)'; valid keys: \(valid.joined(separator: ", "))"
    }
}

extension ConfigurationMapping {
    /// The entries written by the user whose keys are not among the valid ones.
    func unknownKeys(valid: [String], at path: [String]) -> [UnknownKey] {
        entries.filter { $0.value.origin != .defaults && !valid.contains($0.key) }.map { entry in
            UnknownKey(
                key: entry.key, path: path, origin: entry.value.origin,
                suggestion: NearestWord.of(entry.key, among: valid), valid: valid)
        }
    }
}
