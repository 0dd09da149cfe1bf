/// A configuration type in which every key may be left out.
///
/// Swift's synthesized `init(from:)` ignores the defaults of properties: a missing key is an error even when the
/// property says `= 5`. A type that conforms gets its missing keys from `Self()` wherever it occurs in a
/// configuration, also as an element of a list, and needs no hand-written `init(from:)`:
///
/// ```swift
/// struct Checkpointing: Codable, DefaultInitializable {
///     var saveTop = 1
///     var monitor: String? = nil
/// }
/// ```
public protocol DefaultInitializable: Encodable {
    /// The value with every property at its default.
    init()
}

extension ConfigurationNode {
    /// This value laid over a default: keys that are missing here are taken from there.
    ///
    /// Mappings are merged key by key, all the way down. Everything else is replaced, and so are dictionaries (a user
    /// who lists entries means these entries) and enums (the keys of two cases must not mix). A key with nothing after
    /// its colon keeps a mapping of defaults; an explicit `null` does not.
    func laid(over defaults: ConfigurationNode) -> ConfigurationNode {
        guard let below = defaults.mapping, !below.isWhole else { return self }
        if isBlank { return defaults }
        guard let above = mapping else { return self }
        var merged = below
        for entry in above.entries {
            merged[entry.key] = below[entry.key].map { entry.value.laid(over: $0) } ?? entry.value
        }
        merged.hasDefaults = true
        return ConfigurationNode(.mapping(merged), origin)
    }
}
