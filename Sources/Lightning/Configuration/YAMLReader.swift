import Foundation
import Yams

/// Reads YAML text into nodes that remember their lines.
struct YAMLReader {
    /// The name of the file in messages.
    let name: String

    /// The tree of a document, or nil when the text holds none.
    ///
    /// - Throws: `ConfigurationError` for text that is not YAML, more than one document, or a key given twice.
    func read(_ text: String) throws -> ConfigurationNode? {
        try Self.compose(text) { .file(name, line: $0) }.map { node in
            try convert(node, .file(name, line: 1))
        }
    }

    /// Composes text with Yams and says its errors in our words, placed by `origin` of the line.
    static func compose(_ text: String, origin: (Int) -> ConfigurationOrigin) throws -> Node? {
        do {
            return try Yams.compose(yaml: text)
        } catch let error as YamlError {
            let (line, message) = explain(error)
            throw ConfigurationError([.init(origin(line), [], message)])
        }
    }

    private static func explain(_ error: YamlError) -> (line: Int, message: String) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _):
            (mark.line, "not valid YAML: \(problem) (column \(mark.column))")
        case .composer(_, "but found another document", let mark, _):
            (mark.line, "a second document starts here; a configuration is one document")
        case .composer(_, let problem, let mark, _):
            (mark.line, "not valid YAML: \(problem) (column \(mark.column))")
        case .duplicatedKeysInMapping(let keys, let context):
            (context.mark.line, "key '\(keys.first ?? "")' is given more than once in one mapping")
        case .reader(let problem, let offset, _, let yaml):
            (1 + yaml.prefix(offset ?? 0).count { $0.isNewline }, "not valid YAML: \(problem)")
        default:
            (1, "not valid YAML: \(error)")
        }
    }

    /// Turns a Yams node into ours.
    ///
    /// A value in a mapping is placed on the line of its key: that is the line to edit, and for a nested mapping Yams
    /// itself would give the line of its first key.
    func convert(_ node: Node, _ origin: ConfigurationOrigin) throws -> ConfigurationNode {
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain && scalar.tag.description != Tag.Name.str.rawValue
            return ConfigurationNode(.scalar(.init(text: scalar.string, isPlain: isPlain)), origin)
        case .sequence(let sequence):
            let elements = try sequence.map { try convert($0, place($0, within: origin)) }
            return ConfigurationNode(.sequence(elements), origin)
        case .mapping(let mapping):
            return ConfigurationNode(.mapping(try convert(mapping, origin)), origin)
        case .alias:
            // Parsing replaces every alias by its node; only hand-built trees hold this case.
            throw ConfigurationError([.init(origin, [], "an alias without its anchor")])
        }
    }

    private func convert(_ mapping: Node.Mapping, _ origin: ConfigurationOrigin) throws -> ConfigurationMapping {
        var result = ConfigurationMapping()
        var inherited: [ConfigurationMapping] = []
        for (key, value) in mapping {
            let place = place(key, within: origin)
            guard case .scalar(let name) = key else {
                throw ConfigurationError([.init(place, [], "a key must be a word, found a list or a mapping")])
            }
            let node = try convert(value, place)
            if name.string == "<<", name.style == .plain {
                inherited += try sources(of: node)
            } else if result[name.string] != nil {
                let message = "key '\(name.string)' is given more than once in one mapping"
                throw ConfigurationError([.init(place, [], message)])
            } else {
                result[name.string] = node
            }
        }
        // YAML's merge key: what the mapping says itself wins, then the earlier source.
        for source in inherited {
            for entry in source.entries where result[entry.key] == nil { result[entry.key] = entry.value }
        }
        return result
    }

    /// The mappings named after `<<`: one, or a list of them.
    private func sources(of node: ConfigurationNode) throws -> [ConfigurationMapping] {
        if let mapping = node.mapping { return [mapping] }
        if case .sequence(let elements) = node.content {
            let mappings = elements.compactMap(\.mapping)
            if mappings.count == elements.count { return mappings }
        }
        throw ConfigurationError([.init(node.origin, ["<<"], "expected a mapping, found \(node.description)")])
    }

    private func place(_ node: Node, within origin: ConfigurationOrigin) -> ConfigurationOrigin {
        guard case .file(let name, _) = origin, let mark = node.mark else { return origin }
        return .file(name, line: mark.line)
    }
}
