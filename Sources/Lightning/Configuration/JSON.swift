import Foundation

/// JSON texts that hold every number: also those that are infinite, or none.
enum JSON {
    /// One line, keys sorted.
    static func encode(_ value: some Encodable) throws -> String {
        String(decoding: try data(value, []), as: UTF8.self)
    }

    /// Many lines for people, keys sorted.
    static func pretty(_ value: some Encodable) throws -> Data { try data(value, .prettyPrinted) }

    private static func data(_ value: some Encodable, _ formatting: JSONEncoder.OutputFormatting) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting.union([.sortedKeys, .withoutEscapingSlashes])
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try encoder.encode(value)
    }

    /// What a text of this kind says.
    static func decode<Value: Decodable>(_ type: Value.Type, from text: String) throws -> Value {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try decoder.decode(type, from: Data(text.utf8))
    }
}
