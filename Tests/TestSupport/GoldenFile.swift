import Foundation
import Tensors

/// Numbers another program made, kept in the repository: an index (`name.json`) and the numbers (`name.bin`).
public struct GoldenFile: Sendable {
    /// Where one tensor is in the numbers.
    struct Entry: Decodable, Sendable {
        let type: String
        let shape: [Int]
        let offset: Int
    }

    /// The results in one precision.
    struct Results: Decodable, Sendable {
        let values: [Entry]
        let gradients: [Entry]
    }

    private struct Record: Decodable {
        let name: String
        let inputs: [Entry]
        let f8: Results
        let f4: Results
    }

    /// One operation: its inputs, and what comes of them.
    public struct Case: Sendable {
        /// The name, by which the Swift side of the case is found.
        public let name: String
        /// `float32` and `int64` tensors.
        public let inputs: [Tensor]
        let results: [DType: (values: [Tensor], gradients: [Tensor])]

        /// The results in one precision.
        public func values(_ dtype: DType) -> [Tensor] { results[dtype]?.values ?? [] }
        /// The gradients of the weighted sum of the results, one per floating-point input; empty when there is none.
        public func gradients(_ dtype: DType) -> [Tensor] { results[dtype]?.gradients ?? [] }
    }

    /// All cases, in the order of the file.
    public let cases: [Case]

    /// Reads a file from the `Golden` folder of a test bundle.
    public init(_ name: String, in bundle: Bundle) throws {
        let folder = bundle.bundleURL.appendingPathComponent("Golden")
        let records = try JSONDecoder().decode(
            [Record].self, from: Data(contentsOf: folder.appendingPathComponent("\(name).json")))
        let numbers = try Data(contentsOf: folder.appendingPathComponent("\(name).bin"))
        func read(_ entry: Entry) -> Tensor {
            let shape = Shape(entry.shape)
            let dtype: DType = ["f4": .float32, "f8": .float64][entry.type] ?? .int64
            let range = entry.offset..<(entry.offset + shape.elementCount * dtype.byteCount)
            return numbers.subdata(in: range).withUnsafeBytes { Tensor(bytes: $0, shape: shape, dtype: dtype) }
        }
        cases = records.map { record in
            let results = [DType.float64: record.f8, .float32: record.f4].mapValues {
                (values: $0.values.map(read), gradients: $0.gradients.map(read))
            }
            return Case(name: record.name, inputs: record.inputs.map(read), results: results)
        }
    }
}
