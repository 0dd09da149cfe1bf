import Foundation
import Tensors

/// Named tensors another program made, kept in the repository: an index (`name.json`) and the numbers (`name.bin`).
public struct GoldenTensors: Sendable {
    private struct Entry: Decodable {
        let name: String
        let type: String
        let shape: [Int]
        let offset: Int
    }

    /// The names, in the order of the file.
    public let names: [String]
    private let tensors: [String: Tensor]

    /// Reads a file from the `Golden` folder of a test bundle.
    public init(_ name: String, in bundle: Bundle) throws {
        let folder = bundle.bundleURL.appendingPathComponent("Golden")
        let entries = try JSONDecoder().decode(
            [Entry].self, from: Data(contentsOf: folder.appendingPathComponent("\(name).json")))
        let numbers = try Data(contentsOf: folder.appendingPathComponent("\(name).bin"))
        names = entries.map(\.name)
        var tensors: [String: Tensor] = [:]
        for entry in entries {
            let shape = Shape(entry.shape)
            let dtype: DType = ["f4": .float32, "f8": .float64][entry.type] ?? .int64
            let range = entry.offset..<(entry.offset + shape.elementCount * dtype.byteCount)
            tensors[entry.name] = numbers.subdata(in: range).withUnsafeBytes {
                Tensor(bytes: $0, shape: shape, dtype: dtype)
            }
        }
        self.tensors = tensors
    }

    /// The tensor of a name.
    ///
    /// - Throws: When there is none.
    public func callAsFunction(_ name: String) throws -> Tensor {
        guard let tensor = tensors[name] else { throw Missing(description: "no golden tensor is called '\(name)'") }
        return tensor
    }

    /// The tensors whose names begin so, by the rest of their names and in the order of the file.
    public func below(_ prefix: String) -> [(name: String, tensor: Tensor)] {
        names.compactMap { name in
            guard name.hasPrefix(prefix + "/"), let tensor = tensors[name] else { return nil }
            return (String(name.dropFirst(prefix.count + 1)), tensor)
        }
    }

    /// A tensor that a test asks for and the file lacks.
    public struct Missing: Error, CustomStringConvertible {
        /// Its name.
        public let description: String
    }
}
