import Foundation

/// The names of checkpoint files: a pattern with places for the epoch, the step and metrics.
struct CheckpointFileName {
    /// `{name}` or `{name:format}`, where a format is `04` (at least so many digits) or `.2f` (so many decimals).
    let pattern: String

    /// The pattern of names that sort by time.
    static func standard(monitor: String?) -> CheckpointFileName {
        CheckpointFileName(pattern: "{epoch:03}-{step:06}" + (monitor.map { "-{\($0):.4f}" } ?? ""))
    }

    /// The name without its ending, each value behind what it is called: `epoch-003-step-000120`.
    ///
    /// It holds no character that a shell or a file system minds.
    /// - Throws: ``TrainingError`` when the pattern asks for something that is not known.
    func text(_ values: [String: Double]) throws -> String {
        var text = ""
        var rest = pattern[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            text += rest[..<open]
            text += try filled(rest[rest.index(after: open)..<close], values)
            rest = rest[rest.index(after: close)...]
        }
        return text + rest
    }

    private func filled(_ place: Substring, _ values: [String: Double]) throws -> String {
        let colon = place.lastIndex(of: ":")
        let name = String(place[..<(colon ?? place.endIndex)])
        guard let value = values[name] else {
            throw TrainingError(
                "ModelCheckpoint: the file name '\(pattern)' asks for '\(name)', which was not logged; there are: \(values.keys.sorted().joined(separator: ", "))"
            )
        }
        let format = colon.map { place[place.index(after: $0)...] } ?? (value == value.rounded() ? "0" : ".4f")
        let key = String(name.map { $0.isLetter || $0.isNumber || $0 == "_" ? $0 : "-" })
        return key + "-" + (try number(value, format))
    }

    private func number(_ value: Double, _ format: Substring) throws -> String {
        if format.hasPrefix("."), format.hasSuffix("f"), let decimals = Int(format.dropFirst().dropLast()) {
            return String(format: "%.\(decimals)f", value)
        }
        guard let width = Int(format), let whole = Int(exactly: value.rounded()) else {
            throw TrainingError("ModelCheckpoint: ':\(format)' in '\(pattern)' is neither like ':04' nor like ':.2f'")
        }
        let digits = String(whole)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
