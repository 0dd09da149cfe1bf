import Yams

/// Writes values as YAML, for `config.yaml` and `hparams.yaml`.
public enum YAMLText {
    /// The YAML text of a value, ending in a newline.
    ///
    /// The same value always gives the same text: the keys of a struct stand in the order of its declaration, those of
    /// a dictionary are sorted. A nil property is written as `null`. Numbers are written with as few digits as read
    /// back to the same value. `ConfigurationFile` reads the text back; so do other readers of YAML 1.1 and 1.2.
    ///
    /// - Throws: what the value's own `encode(to:)` throws.
    public static func encode(_ value: some Encodable) throws -> String {
        // Without a limit on the width no string is folded into several lines.
        try Yams.serialize(node: yams(try NodeEncoder.encode(value)), width: -1, allowUnicode: true)
    }

    private static func yams(_ node: ConfigurationNode) -> Node {
        switch node.content {
        case .scalar(let scalar):
            return .scalar(yams(scalar))
        case .sequence(let elements):
            let isFlat = elements.allSatisfy { if case .scalar = $0.content { true } else { false } }
            return .sequence(.init(elements.map(yams), .implicit, isFlat ? .flow : .block))
        case .mapping(let mapping):
            let pairs = mapping.entries.map { entry in
                (Node.scalar(yams(ConfigurationScalar(text: entry.key, isPlain: false))), yams(entry.value))
            }
            return .mapping(.init(pairs, .implicit, .block))
        }
    }

    private static func yams(_ scalar: ConfigurationScalar) -> Node.Scalar {
        if scalar.isPlain { return .init(scalar.text, .implicit, .plain) }
        if scalar.text.contains(where: \.isNewline) { return .init(scalar.text, .implicit, .doubleQuoted) }
        // Without quotes a string such as "1e3", "no" or "null" would be read as something else, by us or by readers
        // of YAML 1.1. The emitter itself quotes what would not even be a scalar.
        let bare = ConfigurationScalar(text: scalar.text, isPlain: true)
        let isAmbiguous =
            bare.isNull || bare.isNumber || bare.boolean != nil
            || Resolver.default.resolveTag(of: .scalar(.init(scalar.text))) != .str
        return .init(scalar.text, .implicit, isAmbiguous ? .singleQuoted : .any)
    }
}
