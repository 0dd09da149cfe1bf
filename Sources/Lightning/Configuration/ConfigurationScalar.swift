import Foundation

/// A YAML scalar as written, read by the type that wants it.
///
/// The rules are YAML 1.2's core schema and not 1.1's: `no` and `on` are words, `1e-3` is a number. `1_000` is
/// accepted as well.
struct ConfigurationScalar: Sendable {
    var text: String
    /// Written without quotes: only then can it be a number, a boolean or null.
    var isPlain: Bool

    static let null = ConfigurationScalar(text: "null", isPlain: true)

    var isNull: Bool { isPlain && ["", "~", "null", "Null", "NULL"].contains(text) }

    var boolean: Bool? {
        guard isPlain else { return nil }
        return text == "true" ? true : text == "false" ? false : nil
    }

    /// True when the text has the form of an integer, whether or not it fits a type.
    var isInteger: Bool { integerDigits != nil }

    /// The integer, or nil when the text is none or the type is too small.
    func integer<T: FixedWidthInteger>(_ type: T.Type) -> T? {
        guard let (digits, radix) = integerDigits else { return nil }
        return T(digits, radix: radix)
    }

    /// True when the text has the form of a number.
    var isNumber: Bool { floatText != nil || isInteger }

    /// The number rounded once to the type, or nil when the text is none or the type cannot hold it.
    func float<T: BinaryFloatingPoint & LosslessStringConvertible>(_ type: T.Type) -> T? {
        if let text = floatText {
            if text == "inf" || text == "+inf" { return .infinity }
            if text == "-inf" { return -.infinity }
            if text == "nan" { return .nan }
            guard let value = T(text), value.isFinite else { return nil }
            return value
        }
        // Hexadecimal and octal integers.
        return integer(Int.self).map { T($0) }
    }

    /// The text as a message shows it: words in quotes, numbers, booleans and null bare.
    var description: String {
        if !isPlain { return "the string \"\(text)\"" }
        if isNull { return "null" }
        return isNumber || boolean != nil ? text : "'\(text)'"
    }

    /// The sign and digits of an integer without separators, and its radix.
    private var integerDigits: (String, Int)? {
        guard isPlain else { return nil }
        var body = Substring(text)
        var sign = ""
        if let first = body.first, first == "-" || first == "+" {
            sign = String(first)
            body = body.dropFirst()
        }
        var radix = 10
        for (prefix, value) in [("0x", 16), ("0o", 8), ("0b", 2)] where body.hasPrefix(prefix) {
            radix = value
            body = body.dropFirst(2)
        }
        guard let first = body.first, let last = body.last, first != "_", last != "_" else { return nil }
        let digits = body.filter { $0 != "_" }
        guard digits.allSatisfy({ $0.isASCII && ($0.hexDigitValue ?? 99) < radix }) else { return nil }
        return (sign + digits, radix)
    }

    /// The text of a decimal number in the form Swift reads, with `.inf` and `.nan` spelled without the dot.
    private var floatText: String? {
        guard isPlain else { return nil }
        switch text {
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return "inf"
        case "-.inf", "-.Inf", "-.INF": return "-inf"
        case ".nan", ".NaN", ".NAN": return "nan"
        default: break
        }
        // Swift itself reads "inf", "nan" and hexadecimal floats; YAML does not.
        let plain = text.filter { $0 != "_" }
        guard plain.contains(where: { ("0"..."9").contains($0) }), plain.first != "_",
            plain.allSatisfy({ "0123456789+-.eE".contains($0) })
        else { return nil }
        let full = plain.hasSuffix(".") ? plain + "0" : plain
        // "1e400" has the form of a number although a Double cannot hold it: Swift reads it as infinity.
        return Double(full) == nil ? nil : full
    }
}

/// A type that is read from one scalar and written as one.
protocol ConfigurationScalarValue {
    /// What a message says was expected.
    static var expectation: Expectation { get }
    /// The value, or nil when the scalar is of another type.
    init?(configuration scalar: ConfigurationScalar)
    /// How the value is written; reading it back gives the same value.
    var configurationScalar: ConfigurationScalar { get }
}

/// What a place in the configuration wants, for the message and for a stand-in after an error.
enum Expectation: Sendable {
    case boolean, number, string, list, mapping
    case integer(String)
    case oneOf([String])
    case unknown

    var description: String {
        switch self {
        case .boolean: "true or false"
        case .number: "a number"
        case .string: "a string"
        case .list: "a list"
        case .mapping: "a mapping"
        case .integer: "an integer"
        case .oneOf(let values): "one of \(values.joined(separator: ", "))"
        case .unknown: "another value"
        }
    }
}

extension Bool: ConfigurationScalarValue {
    static var expectation: Expectation { .boolean }
    init?(configuration scalar: ConfigurationScalar) {
        guard let value = scalar.boolean else { return nil }
        self = value
    }
    var configurationScalar: ConfigurationScalar { .init(text: description, isPlain: true) }
}

extension String: ConfigurationScalarValue {
    static var expectation: Expectation { .string }
    /// Any scalar but null is its text, so that `version: 1.10` and `answer: no` keep what was written.
    init?(configuration scalar: ConfigurationScalar) {
        guard !scalar.isNull else { return nil }
        self = scalar.text
    }
    var configurationScalar: ConfigurationScalar { .init(text: self, isPlain: false) }
}

extension FixedWidthInteger {
    static var expectation: Expectation { .integer("between \(Self.min) and \(Self.max)") }
    init?(configuration scalar: ConfigurationScalar) {
        guard let value = scalar.integer(Self.self) else { return nil }
        self = value
    }
    var configurationScalar: ConfigurationScalar { .init(text: String(self), isPlain: true) }
}

extension Int: ConfigurationScalarValue {}
extension Int8: ConfigurationScalarValue {}
extension Int16: ConfigurationScalarValue {}
extension Int32: ConfigurationScalarValue {}
extension Int64: ConfigurationScalarValue {}
extension UInt: ConfigurationScalarValue {}
extension UInt8: ConfigurationScalarValue {}
extension UInt16: ConfigurationScalarValue {}
extension UInt32: ConfigurationScalarValue {}
extension UInt64: ConfigurationScalarValue {}

extension BinaryFloatingPoint where Self: LosslessStringConvertible & CustomStringConvertible {
    static var expectation: Expectation { .number }
    init?(configuration scalar: ConfigurationScalar) {
        guard let value = scalar.float(Self.self) else { return nil }
        self = value
    }
    /// Swift's shortest text that reads back as the same value.
    ///
    /// `1e-05` is written `1.0e-05`, because readers of YAML 1.1 take the former for a word.
    var configurationScalar: ConfigurationScalar {
        if isNaN { return .init(text: ".nan", isPlain: true) }
        if isInfinite { return .init(text: self < 0 ? "-.inf" : ".inf", isPlain: true) }
        var text = description
        if let exponent = text.firstIndex(of: "e"), !text.contains(".") { text.insert(contentsOf: ".0", at: exponent) }
        return .init(text: text, isPlain: true)
    }
}

extension Double: ConfigurationScalarValue {}
extension Float: ConfigurationScalarValue {}

extension URL: ConfigurationScalarValue {
    static var expectation: Expectation { .string }
    init?(configuration scalar: ConfigurationScalar) {
        guard !scalar.isNull else { return nil }
        self.init(string: scalar.text)
    }
    var configurationScalar: ConfigurationScalar { .init(text: absoluteString, isPlain: false) }
}
