import Foundation
import Yams

/// One `key.path=value` of the command line.
struct ConfigurationOverride {
    let path: [String]
    let value: ConfigurationNode

    /// Reads the text of an override.
    ///
    /// The value is a YAML scalar or a flow collection (`[1, 2]`, `{a: 1}`); text that YAML would read as a block
    /// (`title=digits: a run`) is a string, since a command line has no blocks.
    ///
    /// - Throws: `ConfigurationError` when there is no `=`, a key is empty, or the value is not YAML.
    init(_ text: String, index: Int) throws { try self.init(text, .commandLine(text, index: index)) }

    /// The same with the place where it was written.
    init(_ text: String, _ origin: ConfigurationOrigin) throws {
        guard let equals = text.firstIndex(of: "=") else {
            throw ConfigurationError([.init(origin, [], "an override has the form key.path=value")])
        }
        path = text[..<equals].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard !path.contains("") else {
            let message = "an override has the form key.path=value; a key is empty here"
            throw ConfigurationError([.init(origin, [], message)])
        }
        let written = text[text.index(after: equals)...].trimmingCharacters(in: .whitespaces)
        let string = ConfigurationNode(.scalar(.init(text: written, isPlain: false)), origin)
        guard let node = try YAMLReader.compose(written, origin: { _ in origin }) else {
            value = ConfigurationNode(.scalar(.init(text: "", isPlain: true)), origin)
            return
        }
        let isCollection = node.scalar == nil
        let isFlow = written.hasPrefix("[") || written.hasPrefix("{")
        value = isCollection && !isFlow ? string : try YAMLReader(name: "").convert(node, origin)
    }

    /// Lays the override over the tree of the file.
    ///
    /// - Throws: `ConfigurationError` when the path goes through a list by something that is no index of it.
    func apply(to root: inout ConfigurationNode) throws {
        for length in path.indices {
            guard case .sequence(let elements)? = root.node(at: path.prefix(length))?.content else { continue }
            guard let index = Int(path[length]), (0...elements.count).contains(index) else {
                let message = "'\(path[length])' is no index of a list of \(elements.count) elements"
                throw ConfigurationError([.init(value.origin, Array(path.prefix(length)), message)])
            }
        }
        root.set(value, at: path)
    }
}
