import Foundation
import Tensors

/// What a metric has gathered: sums, and where a statistic needs every sample, the samples.
///
/// Coded as base-64 of the numbers' bits, so that a saved state is the same to the bit and is not large.
public struct MetricState: Codable, Sendable, Equatable {
    /// Numbers that add up over batches and ranks; their count never changes.
    public var sums: [Double]
    /// Numbers that are kept one after another; as many lists as the metric needs.
    public var samples: [[Double]]

    /// A state with nothing in it.
    public init(sums: Int, lists: Int = 0) {
        self.sums = Array(repeating: 0, count: sums)
        samples = Array(repeating: [], count: lists)
    }

    /// A state of the same form with nothing in it.
    public var cleared: MetricState { MetricState(sums: sums.count, lists: samples.count) }

    /// Whether this state has the form of another, so that they can be merged.
    public func fits(_ other: MetricState) -> Bool {
        sums.count == other.sums.count && samples.count == other.samples.count
    }

    /// Adds the sums of another state, and appends its samples.
    ///
    /// - Precondition: both are of the same form.
    public mutating func merge(_ other: MetricState) {
        guard fits(other) else {
            fail(
                "MetricState.merge: \(sums.count) sums and \(samples.count) lists with \(other.sums.count) and \(other.samples.count) lists; the metrics have different settings"
            )
        }
        for index in sums.indices { sums[index] += other.sums[index] }
        for index in samples.indices { samples[index] += other.samples[index] }
    }

    // MARK: - Coding

    private enum CodingKeys: String, CodingKey { case sums, samples }

    /// Writes the bits of the numbers.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.text(sums), forKey: .sums)
        try container.encode(samples.map(Self.text), forKey: .samples)
    }

    /// Reads the bits of the numbers.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        sums = try Self.numbers(container.decode(String.self, forKey: .sums))
        samples = try container.decode([String].self, forKey: .samples).map(Self.numbers)
    }

    private static func text(_ numbers: [Double]) -> String {
        var data = Data(capacity: numbers.count * 8)
        for number in numbers {
            let bits = number.bitPattern
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                data.append(UInt8(truncatingIfNeeded: bits >> shift))
            }
        }
        return data.base64EncodedString()
    }

    private static func numbers(_ text: String) throws -> [Double] {
        guard let bytes = Data(base64Encoded: text).map(Array.init), bytes.count % 8 == 0 else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: [], debugDescription: "a metric's state is not base-64 of numbers"))
        }
        return stride(from: 0, to: bytes.count, by: 8).map { start in
            Double(bitPattern: (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) })
        }
    }
}
