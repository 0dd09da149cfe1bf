import Tensors

/// What the labels of a table are.
public enum CSVLabel: Sendable, Hashable {
    /// A column of class names, each of which gets a number.
    ///
    /// Without `names`, those in the file, in order: as numbers when all are whole numbers, otherwise as texts. Give the
    /// names of the training data where a file may lack some of them.
    case classes(in: String, names: [String]? = nil)
    /// Columns of numbers, to be predicted as they are; a single one makes a label without a dimension of its own.
    case numbers(in: [String])
}

/// A table in a text file with separators, in memory: some columns are inputs, others labels.
///
/// ```swift
/// let iris = try CSVDataset("iris.csv", label: .classes(in: "species"))
/// ```
///
/// Fields may be in quotes, as RFC 4180 says. Every mistake is an error with the file and the line.
public struct CSVDataset: Dataset {
    /// The columns that are inputs, in order.
    public let features: [String]
    /// The classes by number; empty when labels are numbers.
    public let classes: [String]
    private let table: TensorDataset

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: The file, compressed by gzip or not.
    ///   - features: The columns that are inputs; by default all that are not labels.
    ///   - label: What labels are.
    ///   - separator: What stands between fields: one ASCII character.
    ///   - hasHeader: Whether the first line names the columns; otherwise they are named `0`, `1` and so on.
    ///   - missing: What an empty field of numbers means; nil makes it an error.
    /// - Throws: `ArchiveError` when the file cannot be read, ``DataLoadingError`` with the line for what is wrong in it.
    public init(
        _ path: String, features: [String]? = nil, label: CSVLabel, separator: Character = ",", hasHeader: Bool = true,
        missing: Float? = nil
    ) throws {
        guard let separator = separator.asciiValue else {
            throw DataLoadingError("\(path): the separator '\(separator)' is not an ASCII character")
        }
        var bytes = try readFile(path)
        if GZip.isCompressed(bytes) { bytes = try GZip.decompress(bytes, name: path) }
        var records = CSVRecords(bytes, separator: separator, name: path)
        guard let first = try records.next() else { throw DataLoadingError("\(path): the file is empty") }
        let header = hasHeader ? first.fields : first.fields.indices.map(String.init)
        var rows = hasHeader ? [] : [first]
        while let record = try records.next() {
            guard record.fields.count == header.count else {
                throw DataLoadingError(
                    "\(path), line \(record.line): \(record.fields.count) fields, and there are \(header.count) columns"
                )
            }
            rows.append(record)
        }
        let reader = ColumnReader(path: path, header: header, rows: rows, missing: missing)

        let labelColumns: [String]
        let labels: Tensor
        switch label {
        case .classes(let column, let names):
            labelColumns = [column]
            (labels, classes) = try reader.classes(column, names)
        case .numbers(let columns):
            (labelColumns, classes) = (columns, [])
            let numbers = try reader.numbers(columns)
            labels = columns.count == 1 ? numbers.reshaped(to: [rows.count]) : numbers
        }
        self.features = features ?? header.filter { !labelColumns.contains($0) }
        table = TensorDataset(inputs: try reader.numbers(self.features), labels: labels)
    }

    /// The number of lines with data.
    public var count: Int { table.count }
    /// True.
    public var isInMemory: Bool { true }
    /// `[samples, features]` of `float32`, and labels: `int64` classes, or `float32` numbers.
    public func batch(at indices: [Int]) -> LabeledBatch { table.batch(at: indices) }
}

/// Makes tensors of columns of text.
private struct ColumnReader {
    let path: String
    let header: [String]
    let rows: [CSVRecords.Record]
    let missing: Float?

    /// `[rows, columns]`.
    func numbers(_ columns: [String]) throws -> Tensor {
        let places = try columns.map(place)
        var values: [Float] = []
        values.reserveCapacity(rows.count * columns.count)
        for row in rows {
            for (column, place) in zip(columns, places) { values.append(try number(row, column, place)) }
        }
        return Tensor(values, shape: [rows.count, columns.count])
    }

    func classes(_ column: String, _ names: [String]?) throws -> (labels: Tensor, names: [String]) {
        let place = try place(column)
        let names = names ?? sorted(Set(rows.map { $0.fields[place] }))
        let numbers = Dictionary(names.enumerated().map { ($1, Int64($0)) }, uniquingKeysWith: { first, _ in first })
        let labels = try rows.map { row in
            guard let number = numbers[row.fields[place]] else {
                throw DataLoadingError(
                    "\(path), line \(row.line): '\(row.fields[place])' in column '\(column)' is none of the classes \(names.joined(separator: ", "))"
                )
            }
            return number
        }
        return (Tensor(labels), names)
    }

    private func sorted(_ names: Set<String>) -> [String] {
        let numbers = names.compactMap(Int.init)
        guard numbers.count == names.count else { return names.sorted() }
        return names.sorted { (Int($0) ?? 0, $0) < (Int($1) ?? 0, $1) }
    }

    private func place(_ column: String) throws -> Int {
        guard let place = header.firstIndex(of: column) else {
            throw DataLoadingError(
                "\(path): there is no column '\(column)'; there are: \(header.joined(separator: ", "))")
        }
        return place
    }

    private func number(_ row: CSVRecords.Record, _ column: String, _ place: Int) throws -> Float {
        let field = row.fields[place].filter { $0 != " " }
        if let number = Float(field) { return number }
        if field.isEmpty, let missing { return missing }
        throw DataLoadingError(
            "\(path), line \(row.line): '\(row.fields[place])' in column '\(column)' is not a number\(field.isEmpty ? "; say what an empty field means (missing:)" : "")"
        )
    }
}
