import Foundation

/// Metrics as a small table for people.
enum ResultsTable {
    /// Two columns, names sorted.
    static func text(title: String, _ results: [String: Double]) -> String {
        let rows = results.keys.sorted().map { ($0, number(results[$0] ?? .nan)) }
        let nameWidth = max(title.count + 7, rows.map(\.0.count).max() ?? 0)
        let valueWidth = max(5, rows.map(\.1.count).max() ?? 0)
        let line = String(repeating: "─", count: nameWidth + 2) + "┬" + String(repeating: "─", count: valueWidth + 2)
        func row(_ a: String, _ b: String) -> String { " \(pad(a, nameWidth)) │ \(pad(b, valueWidth))" }
        return
            ([line, row("\(title) metric", "value"), line.replacingOccurrences(of: "┬", with: "┼")]
            + rows.map { row($0.0, $0.1) } + [line.replacingOccurrences(of: "┬", with: "┴")]).joined(separator: "\n")
    }

    /// Six significant digits at most.
    static func number(_ value: Double) -> String { String(format: "%.5g", value) }

    /// A text filled up with spaces on the right.
    static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
