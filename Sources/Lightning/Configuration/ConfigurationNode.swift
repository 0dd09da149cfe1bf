/// Where a value of the configuration was written, for error messages.
enum ConfigurationOrigin: Hashable, Sendable {
    /// A line of a file; lines count from 1.
    case file(String, line: Int)
    /// The override with this index among all overrides, as the user wrote it.
    case commandLine(String, index: Int)
    /// An environment variable, as `NAME=value`.
    case environment(String, index: Int)
    /// Nobody wrote it: it comes from a default value, or stands in for a value already reported as wrong.
    case defaults

    /// The text in front of every message about the value.
    var description: String {
        switch self {
        case .file(let name, let line): "\(name):\(line)"
        case .commandLine(let text, _): "command line: \(text)"
        case .environment(let text, _): "environment: \(text)"
        case .defaults: "defaults"
        }
    }

    /// Problems are shown in the order of the file, then in the order of the command line.
    var order: (Int, Int) {
        switch self {
        case .file(_, let line): (0, line)
        case .commandLine(_, let index), .environment(_, let index): (1, index)
        case .defaults: (2, 0)
        }
    }
}

/// A value of the configuration that knows where it was written.
///
/// It is a tree of its own and not `Yams.Node`, because values come from three places (file, command line,
/// defaults) and an error must name the right one.
struct ConfigurationNode: Sendable {
    enum Content: Sendable {
        case scalar(ConfigurationScalar)
        case sequence([ConfigurationNode])
        case mapping(ConfigurationMapping)
    }

    var content: Content
    var origin: ConfigurationOrigin

    init(_ content: Content, _ origin: ConfigurationOrigin) {
        self.content = content
        self.origin = origin
    }

    var isNull: Bool {
        if case .scalar(let scalar) = content { scalar.isNull } else { false }
    }

    /// True for a key with nothing after the colon, as is left when every line below it is commented out.
    var isBlank: Bool {
        if case .scalar(let scalar) = content { scalar.isPlain && scalar.text.isEmpty } else { false }
    }

    var mapping: ConfigurationMapping? {
        if case .mapping(let mapping) = content { mapping } else { nil }
    }

    /// How a message names this value: `found 'ten'`, `found a mapping`.
    var description: String {
        switch content {
        case .scalar(let scalar): scalar.description
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
}

/// The entries of a mapping, in the order they were written.
struct ConfigurationMapping: Sendable {
    struct Entry: Sendable {
        var key: String
        var value: ConfigurationNode
    }

    var entries: [Entry] = []
    /// A dictionary or an enum: what the user writes replaces it whole and is not merged key by key.
    var isWhole = false
    /// Defaults were already laid under it (or it is made of defaults), so none are to be added.
    var hasDefaults = false

    subscript(key: String) -> ConfigurationNode? {
        get { entries.first { $0.key == key }?.value }
        set {
            let index = entries.firstIndex { $0.key == key }
            switch (index, newValue) {
            case (let index?, let value?): entries[index].value = value
            case (let index?, nil): entries.remove(at: index)
            case (nil, let value?): entries.append(Entry(key: key, value: value))
            case (nil, nil): break
            }
        }
    }
}

extension ConfigurationNode {
    /// The value at a path of keys and list indices, if there is one.
    func node(at path: some Collection<String>) -> ConfigurationNode? {
        guard let first = path.first else { return self }
        switch content {
        case .scalar: return nil
        case .sequence(let elements):
            guard let index = Int(first), elements.indices.contains(index) else { return nil }
            return elements[index].node(at: path.dropFirst())
        case .mapping(let mapping): return mapping[first]?.node(at: path.dropFirst())
        }
    }

    /// Puts a value at a path; `nil` takes a key out of its mapping.
    ///
    /// Mappings on the way are made as needed.
    mutating func set(_ value: ConfigurationNode?, at path: some Collection<String>) {
        guard let first = path.first else {
            if let value { self = value }
            return
        }
        let rest = path.dropFirst()
        if case .sequence(var elements) = content, let index = Int(first), (0...elements.count).contains(index) {
            if index < elements.count {
                elements[index].set(value, at: rest)
            } else if let value {
                elements.append(Self.nested(value, under: rest))
            }
            content = .sequence(elements)
            return
        }
        var mapping = self.mapping ?? ConfigurationMapping()
        if var child = mapping[first], !rest.isEmpty {
            child.set(value, at: rest)
            mapping[first] = child
        } else {
            mapping[first] = value.map { Self.nested($0, under: rest) }
        }
        // What was a scalar becomes a mapping written where the new value was written.
        if self.mapping == nil, let value { origin = value.origin }
        content = .mapping(mapping)
    }

    private static func nested(_ value: ConfigurationNode, under path: some Collection<String>) -> ConfigurationNode {
        path.reversed().reduce(value) { inner, key in
            let entry = ConfigurationMapping.Entry(key: key, value: inner)
            return ConfigurationNode(.mapping(ConfigurationMapping(entries: [entry])), value.origin)
        }
    }
}
