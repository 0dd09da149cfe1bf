import Foundation
import Tensors

/// Everything a run needs to go on: weights, optimizer state, and named JSON values.
///
/// Nothing in it depends on the number of ranks that wrote it.
public struct Checkpoint: Sendable {
    /// The layout this program writes; files with a later one are refused.
    public static let formatVersion = 2

    /// Parameters and buffers of the model by key.
    public var model = StateDictionary()
    /// One state per optimizer: `<parameter>/<slot>`.
    public var optimizers: [StateDictionary] = []
    /// Tensors of callbacks by the callback's name, such as weights beside those of the model.
    public var callbacks: [String: StateDictionary] = [:]
    /// JSON texts by name: progress, hyperparameters, callbacks, and what users add.
    public var values: [String: String] = [:]

    /// A checkpoint with nothing in it.
    public init() {}

    /// Stores a value under a name, as JSON with sorted keys.
    public mutating func set(_ name: String, _ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        values[name] = String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// The value under a name; nil when there is none.
    ///
    /// - Throws: ``CheckpointError`` when it is not of the type asked for.
    public func get<Value: Decodable>(_ name: String, as type: Value.Type = Value.self) throws -> Value? {
        guard let text = values[name] else { return nil }
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        do {
            return try decoder.decode(type, from: Data(text.utf8))
        } catch {
            throw CheckpointError("the checkpoint's '\(name)' cannot be read as \(type): \(error)")
        }
    }
}

/// A checkpoint that cannot be used.
public struct CheckpointError: Error, CustomStringConvertible {
    /// What is wrong with which file, and what to do.
    public let description: String
    /// An error with its message.
    public init(_ description: String) { self.description = description }
}
