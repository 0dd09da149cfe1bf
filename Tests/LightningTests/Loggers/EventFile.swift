import Foundation
import Lightning

/// A reader of event files that shares nothing with the writer: checks bit by bit, fields as they come.
struct EventFile {
    struct Scalar: Equatable {
        var name: String
        var step: Int
        var value: Float
    }

    struct Damage: Error, CustomStringConvertible { var description: String }

    private(set) var scalars: [Scalar] = []
    private(set) var version: String?
    private(set) var records = 0

    init(_ path: String) throws {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        var place = 0
        while place < bytes.count {
            guard place + 16 <= bytes.count else { throw Damage(description: "a record is cut off at \(place)") }
            let length = Int(Self.number(bytes[place..<place + 8]))
            let data = bytes[(place + 12)..<(place + 12 + length)]
            let checks = [bytes[(place + 8)..<(place + 12)], bytes[(place + 12 + length)..<(place + 16 + length)]]
            guard Self.number(checks[0]) == Self.check(bytes[place..<place + 8]),
                Self.number(checks[1]) == Self.check(data)
            else { throw Damage(description: "the check of record \(records) is wrong") }
            try read(Fields(data))
            place += 16 + length
            records += 1
        }
    }

    private mutating func read(_ event: Fields) throws {
        if let text = event.bytes(3).first { version = String(decoding: text, as: UTF8.self) }
        let step = event.numbers(2).first.map { Int($0) } ?? 0
        for summary in event.bytes(5) {
            for value in try Fields(summary).bytes(1).map(Fields.init) {
                guard let name = value.bytes(1).first, let number = value.numbers(2).first else { continue }
                scalars.append(
                    Scalar(
                        name: String(decoding: name, as: UTF8.self), step: step,
                        value: Float(bitPattern: UInt32(number))))
            }
        }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The masked CRC-32C, a bit at a time.
    private static func check(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        var sum = UInt32.max
        for byte in bytes {
            for bit in 0..<8 {
                let low = (sum ^ UInt32(byte >> bit)) & 1
                sum = sum >> 1 ^ (low == 1 ? 0x82f6_3b78 : 0)
            }
        }
        sum = ~sum
        return UInt64((sum >> 15 | sum << 17) &+ 0xa282_ead8)
    }

    /// The fields of a message.
    private struct Fields {
        private var delimited: [Int: [ArraySlice<UInt8>]] = [:]
        private var plain: [Int: [UInt64]] = [:]

        func bytes(_ field: Int) -> [ArraySlice<UInt8>] { delimited[field] ?? [] }
        func numbers(_ field: Int) -> [UInt64] { plain[field] ?? [] }

        init(_ bytes: ArraySlice<UInt8>) throws {
            var rest = bytes
            func varint() -> UInt64 {
                var (value, shift) = (UInt64(0), UInt64(0))
                while let byte = rest.popFirst() {
                    value |= UInt64(byte & 0x7f) << shift
                    shift += 7
                    if byte < 0x80 { break }
                }
                return value
            }
            while !rest.isEmpty {
                let key = varint(), field = Int(key >> 3)
                switch key & 7 {
                case 0: plain[field, default: []].append(varint())
                case 1, 5:
                    let count = key & 7 == 1 ? 8 : 4
                    plain[field, default: []].append(EventFile.number(rest.prefix(count)))
                    rest = rest.dropFirst(count)
                case 2:
                    let count = Int(varint())
                    delimited[field, default: []].append(rest.prefix(count))
                    rest = rest.dropFirst(count)
                default: throw Damage(description: "a field of wire type \(key & 7)")
                }
            }
        }
    }
}
