/// The records of a text in the format of [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180): fields between separators,
/// which may be in quotes and then contain separators, line ends and doubled quotes.
struct CSVRecords {
    /// The fields of a record, and the line it begins in, from 1.
    struct Record {
        var line: Int
        var fields: [String]
    }

    private let bytes: [UInt8]
    private let separator: UInt8
    private let name: String
    private var position = 0
    private var line = 1

    init(_ bytes: [UInt8], separator: UInt8, name: String) {
        self.bytes = bytes
        self.separator = separator
        self.name = name
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }  // a mark some programs begin texts with
    }

    /// The next record that is not an empty line; nil at the end.
    mutating func next() throws -> Record? {
        while position < bytes.count {
            let record = try readRecord()
            if record.fields != [""] { return record }
        }
        return nil
    }

    private mutating func readRecord() throws -> Record {
        var record = Record(line: line, fields: [])
        while true {
            record.fields.append(try readField())
            guard position < bytes.count, bytes[position] == separator else { break }
            position += 1
        }
        skipLineEnd()
        return record
    }

    private mutating func readField() throws -> String {
        if position < bytes.count, bytes[position] == UInt8(ascii: "\"") { return try readQuoted() }
        let start = position
        while position < bytes.count, !isEnd(bytes[position]) {
            guard bytes[position] != UInt8(ascii: "\"") else {
                throw DataLoadingError("\(name), line \(line): a quote in a field that does not begin with one")
            }
            position += 1
        }
        return try text(Array(bytes[start..<position]))
    }

    private mutating func readQuoted() throws -> String {
        let begin = line
        var content: [UInt8] = []
        position += 1
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if byte == UInt8(ascii: "\"") {
                if position < bytes.count, bytes[position] == byte {
                    position += 1
                } else {
                    guard position == bytes.count || isEnd(bytes[position]) else {
                        throw DataLoadingError("\(name), line \(line): something follows the quote that ends a field")
                    }
                    return try text(content)
                }
            }
            if byte == UInt8(ascii: "\n") { line += 1 }
            content.append(byte)
        }
        throw DataLoadingError("\(name), line \(begin): a quote is not closed until the end of the file")
    }

    private func isEnd(_ byte: UInt8) -> Bool {
        byte == separator || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
    }

    private mutating func skipLineEnd() {
        if position < bytes.count, bytes[position] == UInt8(ascii: "\r") { position += 1 }
        if position < bytes.count, bytes[position] == UInt8(ascii: "\n") { position += 1 }
        line += 1
    }

    private func text(_ bytes: [UInt8]) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw DataLoadingError("\(name), line \(line): the bytes are no UTF-8 text")
        }
        return text
    }
}
