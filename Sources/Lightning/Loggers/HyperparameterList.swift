import Yams

/// Hyperparameters as a flat list, for loggers that know no nesting: `optimizer.betas.0`.
struct HyperparameterList {
    /// A value without parts.
    enum Value: Encodable, Equatable {
        case number(Double)
        case boolean(Bool)
        case text(String)

        /// The value as it stands in the YAML text.
        var text: String {
            switch self {
            case .number(let number): Int(exactly: number).map { "\($0)" } ?? "\(number)"
            case .boolean(let boolean): "\(boolean)"
            case .text(let text): text
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .number(let number): try container.encode(number)
            case .boolean(let boolean): try container.encode(boolean)
            case .text(let text): try container.encode(text)
            }
        }
    }

    /// The values in the order of the text, keys joined by dots.
    private(set) var values: [(key: String, value: Value)] = []

    /// Reads the text that loggers are given.
    init(yaml: String) throws {
        if let node = try Yams.compose(yaml: yaml) { add(node, "") }
    }

    private mutating func add(_ node: Node, _ key: String) {
        func below(_ name: String) -> String { key.isEmpty ? name : "\(key).\(name)" }
        switch node {
        case .mapping(let mapping): for (name, value) in mapping { add(value, below(name.string ?? "")) }
        case .sequence(let sequence): for (index, value) in sequence.enumerated() { add(value, below("\(index)")) }
        case .scalar(let scalar): values.append((key, value(node, scalar.string)))
        case .alias: break  // our own texts have none
        }
    }

    private func value(_ node: Node, _ text: String) -> Value {
        if let boolean = node.bool { return .boolean(boolean) }
        if let number = node.float { return .number(number) }
        return .text(text)
    }
}
