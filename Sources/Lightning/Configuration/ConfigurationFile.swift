import Foundation

/// A YAML file with the overrides of the command line laid over it, decoded strictly into `Codable` types.
///
/// ```yaml
/// trainer:
///   maxEpochs: 5
/// ```
/// ```swift
/// let file = try ConfigurationFile(path: "configs/digits.yaml", overrides: ["trainer.maxEpochs=3"])
/// let trainer = try file.decode(Trainer.Configuration.self, default: .init(), at: "trainer")
/// ```
///
/// Every value remembers the line or the override it was written in, and every mistake is reported with it: wrong
/// types, missing keys, keys that no type knows.
public struct ConfigurationFile: Sendable {
    /// The file's name in messages.
    public let name: String
    private let root: ConfigurationNode

    init(root: ConfigurationNode, name: String) { (self.root, self.name) = (root, name) }

    /// Reads a file and applies overrides.
    ///
    /// - Parameters:
    ///   - path: The YAML file.
    ///   - overrides: Texts of the form `key.path=value`, where a key may also be the index of a list's element. A later
    ///     one wins. The value is YAML: `3`, `null`, `[1, 2]`, `{name: adam}`, or a bare word.
    /// - Throws: `ConfigurationError` when the file cannot be read, is not YAML or an override has no meaning.
    public init(path: String, overrides: [String] = []) throws {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            let reason = FileManager.default.fileExists(atPath: path) ? "the file cannot be read" : "no such file"
            throw ConfigurationError([.init(.file(path, line: 1), [], reason)])
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw ConfigurationError([.init(.file(path, line: 1), [], "the file is not UTF-8 text")])
        }
        try self.init(text: text, name: path, overrides: overrides)
    }

    /// Reads YAML text and applies overrides.
    ///
    /// - Parameters:
    ///   - text: The YAML document; empty text is an empty mapping.
    ///   - name: What messages call the text.
    ///   - overrides: Texts of the form `key.path=value`.
    /// - Throws: `ConfigurationError` as for a file.
    public init(text: String, name: String, overrides: [String] = []) throws {
        self.name = name
        let empty = ConfigurationNode(.mapping(.init()), .file(name, line: 1))
        var root = try YAMLReader(name: name).read(text) ?? empty
        if root.isNull { root = empty }
        guard root.mapping != nil else {
            let message = "expected keys with values, found \(root.description)"
            throw ConfigurationError([.init(root.origin, [], message)])
        }
        var problems: [ConfigurationError.Problem] = []
        for (index, text) in overrides.enumerated() {
            do {
                try ConfigurationOverride(text, index: index).apply(to: &root)
            } catch let error as ConfigurationError {
                problems += error.problems
            }
        }
        guard problems.isEmpty else { throw ConfigurationError(problems) }
        self.root = root
    }

    /// True when the file or an override gives a value at the path.
    public func contains(_ keyPath: String) -> Bool { root.node(at: Self.split(keyPath)) != nil }

    /// Decodes a section over a default value: keys that are left out keep the default's values, at any depth.
    ///
    /// The type needs no hand-written `init(from:)`. A dictionary or an enum that the user writes replaces the default's
    /// whole; lists do too. A section that is missing or left blank is the default.
    ///
    /// - Parameters:
    ///   - type: The type of the section.
    ///   - default: The value of everything the user does not write.
    ///   - keyPath: The section, such as `trainer` or `model.parameters`; empty for the whole file.
    /// - Throws: `ConfigurationError` with all problems of the section.
    public func decode<T: Codable>(_ type: T.Type, default: T, at keyPath: String = "") throws -> T {
        let defaults = try NodeEncoder.encode(`default`)
        var decoding = StrictDecoding(user: root, defaults: defaults, section: Self.split(keyPath))
        return try decoding.decode(type)
    }

    /// Decodes a section in which every key without an own default must be given.
    ///
    /// - Parameters:
    ///   - type: The type of the section. Parts of it that are `DefaultInitializable` may be left out.
    ///   - keyPath: The section; empty for the whole file.
    /// - Throws: `ConfigurationError` with all problems of the section.
    public func decode<T: Decodable>(_ type: T.Type, at keyPath: String = "") throws -> T {
        var decoding = StrictDecoding(user: root, defaults: nil, section: Self.split(keyPath))
        return try decoding.decode(type)
    }

    /// Checks that a mapping has no other keys than these, for sections that are decoded part by part.
    ///
    /// - Parameters:
    ///   - valid: The keys that may occur.
    ///   - keyPath: The mapping; empty for the sections of the file. A mapping that is not there passes.
    /// - Throws: `ConfigurationError` naming each unknown key, with the nearest valid one or all of them.
    public func allowOnly(keys valid: [String], at keyPath: String = "") throws {
        let path = Self.split(keyPath)
        guard let node = root.node(at: path), !node.isNull else { return }
        guard let mapping = node.mapping else {
            throw ConfigurationError([.init(node.origin, path, "expected a mapping, found \(node.description)")])
        }
        let unknown = mapping.unknownKeys(valid: valid, at: path)
        if !unknown.isEmpty { throw ConfigurationError(unknown.map { .init($0.origin, $0.path, $0.message) }) }
    }

    private static func split(_ keyPath: String) -> [String] {
        keyPath.split(separator: ".").map(String.init)
    }
}
