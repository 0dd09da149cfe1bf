import Foundation

/// Some curves over optimizer steps, as an SVG picture in a page.
struct CurveChart {
    let title: String
    let curves: [(name: String, points: [RunRecords.Point])]

    private static let width = 640.0, height = 260.0
    private static let left = 64.0, right = 12.0, top = 10.0, bottom = 30.0
    /// More points than this are drawn as the least and the largest of each stretch.
    private static let drawn = 1200

    /// The picture with its heading and a table of the curves.
    var html: String {
        let steps = Axis(curves.flatMap { $0.points.map { Double($0.step) } }, ticks: 6)
        let values = Axis(curves.flatMap { $0.points.map(\.value) }, ticks: 4)
        var svg =
            "<svg viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" role=\"img\" aria-label=\"\(HTML.escape(title))\">\n"
        for tick in values.ticks {
            let y = Self.text(self.y(tick, values))
            svg +=
                "<line class=\"grid\" x1=\"\(Int(Self.left))\" x2=\"\(Int(Self.width - Self.right))\" y1=\"\(y)\" y2=\"\(y)\"/>"
            svg += "<text x=\"\(Int(Self.left - 6))\" y=\"\(y)\" class=\"value\">\(Axis.label(tick))</text>\n"
        }
        for tick in steps.ticks {
            svg +=
                "<text x=\"\(Self.text(x(tick, steps)))\" y=\"\(Int(Self.height - 10))\" class=\"step\">\(Axis.label(tick))</text>\n"
        }
        for (index, curve) in curves.enumerated() { svg += draw(curve.points, index, steps, values) }
        svg += "</svg>"
        return "<figure>\n<figcaption>\(HTML.escape(title))</figcaption>\n\(svg)\n\(table)</figure>\n"
    }

    private func x(_ step: Double, _ axis: Axis) -> Double {
        Self.left + axis.share(step) * (Self.width - Self.left - Self.right)
    }

    private func y(_ value: Double, _ axis: Axis) -> Double {
        Self.height - Self.bottom - axis.share(value) * (Self.height - Self.top - Self.bottom)
    }

    private static func text(_ number: Double) -> String { String(format: "%.1f", number) }

    /// A line through the points, interrupted where a value is not finite; a point alone is a dot.
    private func draw(_ points: [RunRecords.Point], _ index: Int, _ steps: Axis, _ values: Axis) -> String {
        var svg = ""
        for run in Self.thinned(points).split(whereSeparator: { !$0.value.isFinite }) {
            let places = run.map { "\(Self.text(x(Double($0.step), steps))),\(Self.text(y($0.value, values)))" }
            if places.count == 1 {
                let parts = places[0].split(separator: ",")
                svg += "<circle class=\"c\(index % 6)\" cx=\"\(parts[0])\" cy=\"\(parts[1])\" r=\"3\"/>\n"
            } else {
                svg += "<polyline class=\"c\(index % 6)\" points=\"\(places.joined(separator: " "))\"/>\n"
            }
        }
        return svg
    }

    static func thinned(_ points: [RunRecords.Point]) -> [RunRecords.Point] {
        guard points.count > drawn else { return points }
        let size = (points.count * 2 + drawn - 1) / drawn
        return stride(from: 0, to: points.count, by: size).flatMap { start -> [RunRecords.Point] in
            let part = points[start..<min(start + size, points.count)]
            guard part.allSatisfy(\.value.isFinite),
                let low = part.indices.min(by: { part[$0].value < part[$1].value }),
                let high = part.indices.max(by: { part[$0].value < part[$1].value })
            else { return Array(part) }
            return Set([low, high]).sorted().map { part[$0] }
        }
    }

    private var table: String {
        var rows = "<table><tr><th></th><th>last</th><th>least</th><th>largest</th></tr>\n"
        for (index, curve) in curves.enumerated() {
            let finite = curve.points.map(\.value).filter(\.isFinite)
            let numbers = [curve.points.last?.value, finite.min(), finite.max()].map { $0.map(Axis.label) ?? "–" }
            rows += "<tr><th><i class=\"c\(index % 6)\"></i>\(HTML.escape(curve.name))</th>"
            rows += numbers.map { "<td>\($0)</td>" }.joined() + "</tr>\n"
        }
        return rows + "</table>\n"
    }
}

/// Text in a page.
enum HTML {
    /// A text whose characters mean nothing to a browser.
    static func escape(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
