import Foundation
import Tensors

/// Some lines of a text.
public struct TextBatch: RowBatch {
    /// The lines, without line ends.
    public var lines: [String]
    /// The number of lines.
    public var sampleCount: Int { lines.count }

    /// A batch of lines.
    public init(lines: [String]) { self.lines = lines }

    /// The lines of several batches.
    public static func concatenated(_ parts: [TextBatch]) -> TextBatch { TextBatch(lines: parts.flatMap(\.lines)) }
    /// The lines at the given places.
    public func samples(at places: [Int]) -> TextBatch { TextBatch(lines: places.map { lines[$0] }) }
}

/// The lines of a text file, each a sample; `map` makes tensors of them.
///
/// The file is mapped, not read: only where lines begin is kept in memory.
public struct TextLinesDataset: Dataset {
    private let path: String
    private let content: Data
    private let lines: [Range<Int>]

    /// Finds the lines of a file, which end in a line feed, with or without a carriage return before it.
    ///
    /// - Parameters:
    ///   - path: A UTF-8 text.
    ///   - skipsEmpty: Whether empty lines are left out.
    /// - Throws: ``DataLoadingError`` when the file cannot be read.
    public init(_ path: String, skipsEmpty: Bool = true) throws {
        do {
            content = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        } catch {
            throw DataLoadingError("\(path): the text cannot be read: \(error.localizedDescription)")
        }
        self.path = path
        var lines: [Range<Int>] = []
        content.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
                let returns = end > start && bytes[end - 1] == UInt8(ascii: "\r")
                let line = start..<(returns ? end - 1 : end)
                if !skipsEmpty || !line.isEmpty { lines.append(line) }
                start = end + 1
            }
        }
        self.lines = lines
    }

    /// The number of lines.
    public var count: Int { lines.count }
    /// False: the file is read from disk where it was not read before.
    public var isInMemory: Bool { false }

    /// The lines at the given indices.
    ///
    /// - Throws: ``DataLoadingError`` when a line is no UTF-8 text.
    public func batch(at indices: [Int]) throws -> TextBatch {
        TextBatch(
            lines: try indices.map { index in
                guard let line = String(validating: content[lines[index]], as: UTF8.self) else {
                    throw DataLoadingError(
                        "\(path), line \(index + 1) of those that count: the bytes are no UTF-8 text")
                }
                return line
            })
    }
}
