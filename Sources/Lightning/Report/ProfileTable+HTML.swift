import Foundation

extension ProfileTable {
    /// The table in a page: what took a thousandth of the run or more, the rest folded away.
    var html: String {
        let shown = rows.filter { $0.seconds >= seconds * 1e-3 }, hidden = rows.filter { $0.seconds < seconds * 1e-3 }
        let over = ranks > 1 ? " Total, mean and share are rank 0's; the last three are over \(ranks) ranks." : ""
        var html = "<h2>Profile of \(HTML.escape(stage))</h2>\n"
        html += "<p>\(Axis.label(seconds)) s. Actions lie within each other.\(over)</p>\n"
        html += table(shown)
        if !hidden.isEmpty {
            html += "<details><summary>\(hidden.count) shorter actions</summary>\n\(table(hidden))</details>\n"
        }
        return html
    }

    /// A name that may be broken between its words.
    private static func breakable(_ name: String) -> String {
        HTML.escape(name).replacingOccurrences(of: "]", with: "]<wbr>").replacingOccurrences(of: ".", with: ".<wbr>")
    }

    private func table(_ rows: [Row]) -> String {
        var heads = ["calls", "total s", "mean ms", "share"]
        if ranks > 1 { heads += ["least s", "mean s", "most s"] }
        var html = "<div class=\"wide\"><table><tr><th>action</th>"
        html += heads.map { "<th>\($0)</th>" }.joined() + "</tr>\n"
        for row in rows {
            let share = seconds > 0 ? min(row.seconds / seconds, 1) * 100 : 0
            html +=
                "<tr><th>\(Self.breakable(row.name))</th><td>\(row.calls)</td><td>\(Self.fixed(row.seconds, 3))</td>"
            html += "<td>\(Self.fixed(row.seconds / Double(max(row.calls, 1)) * 1e3, 3))</td>"
            html += "<td class=\"share\"><i style=\"width:\(Self.fixed(share, 1))%\"></i>\(Self.fixed(share, 1)) %</td>"
            if ranks > 1 { html += [row.least, row.mean, row.most].map { "<td>\(Self.fixed($0, 3))</td>" }.joined() }
            html += "</tr>\n"
        }
        return html + "</table></div>\n"
    }
}
