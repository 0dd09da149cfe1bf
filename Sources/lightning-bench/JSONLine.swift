import Foundation

/// One JSON object on a line of its own, keys in alphabetical order, numbers to six significant digits.
enum JSONLine {
    static func print(_ values: [String: Any]) throws {
        let rounded = values.mapValues { value in
            guard let number = value as? Double else { return value }
            return number == 0 || !number.isFinite ? 0 as Any : NSDecimalNumber(string: String(format: "%.6g", number))
        }
        let data = try JSONSerialization.data(withJSONObject: rounded, options: [.sortedKeys])
        Swift.print(String(decoding: data, as: UTF8.self))
        fflush(nil)
    }
}
