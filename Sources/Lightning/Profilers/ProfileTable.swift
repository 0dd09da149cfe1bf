import Foundation

/// How often and how long one rank did what in a run.
struct ProfileShare: Codable {
    struct Action: Codable {
        var name: String
        var calls: Int
        var seconds: Double
    }

    /// The whole run.
    var seconds: Double
    var actions: [Action]
}

/// Where the time of a run went, over all ranks: what `profile-fit.json` holds.
///
/// Actions lie within each other: the time of a training batch is that of its step, too.
struct ProfileTable: Codable {
    struct Row: Codable {
        var name: String
        /// Calls on rank 0; on the first rank that did it, when rank 0 did not.
        var calls: Int
        /// The seconds of all calls on that rank.
        var seconds: Double
        /// The same on the rank where it took least, on average, and on the rank where it took most.
        var least: Double
        var mean: Double
        var most: Double
    }

    /// What was run: `fit`, `validate`, `test` or `predict`.
    var stage: String
    /// The seconds of the run on rank 0.
    var seconds: Double
    /// The ranks whose times are in the table.
    var ranks: Int
    /// The actions, the longest first.
    var rows: [Row]

    /// Puts the ranks' shares together; rank 0's is the first.
    init(stage: String, _ shares: [ProfileShare]) {
        self.stage = stage
        seconds = shares.first?.seconds ?? 0
        ranks = shares.count
        var rows: [Row] = []
        var places: [String: Int] = [:]
        var times: [[Double]] = []
        for (rank, share) in shares.enumerated() {
            for action in share.actions {
                let place = places[action.name] ?? rows.count
                if place == rows.count {
                    places[action.name] = place
                    rows.append(
                        Row(name: action.name, calls: action.calls, seconds: action.seconds, least: 0, mean: 0, most: 0)
                    )
                    times.append(Array(repeating: 0, count: shares.count))
                }
                times[place][rank] = action.seconds
            }
        }
        for (place, times) in times.enumerated() {
            rows[place].least = times.min() ?? 0
            rows[place].mean = times.reduce(0, +) / Double(times.count)
            rows[place].most = times.max() ?? 0
        }
        self.rows = rows.sorted { $0.seconds > $1.seconds }
    }

    /// The table for people; what took less than a ten-thousandth of the run is one line.
    var text: String {
        let shown = rows.filter { $0.seconds >= seconds * 1e-4 }
        let hidden = rows.filter { $0.seconds < seconds * 1e-4 }
        var cells = [["action", "calls", "total s", "mean ms", "share %"]]
        if ranks > 1 { cells[0] += ["least s", "mean s", "most s"] }
        for row in shown {
            cells.append([
                row.name, "\(row.calls)", Self.fixed(row.seconds, 3),
                Self.fixed(row.seconds / Double(row.calls) * 1e3, 4), Self.fixed(row.seconds / seconds * 100, 2),
            ])
            if ranks > 1 {
                cells[cells.count - 1] += [row.least, row.mean, row.most].map { Self.fixed($0, 3) }
            }
        }
        if !hidden.isEmpty {
            cells.append(
                ["\(hidden.count) more", "\(hidden.reduce(0) { $0 + $1.calls })"]
                    + [Self.fixed(hidden.reduce(0) { $0 + $1.seconds }, 3)])
        }
        let widths = cells[0].indices.map { column in
            cells.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        var lines = cells.map { row in
            row.indices.map { column in
                column == 0
                    ? ResultsTable.pad(row[column], widths[column])
                    : String(repeating: " ", count: widths[column] - row[column].count) + row[column]
            }.joined(separator: " │ ")
        }
        let line = String(repeating: "─", count: widths.reduce(0, +) + 3 * (widths.count - 1))
        lines.insert(line, at: 1)
        let ranks =
            ranks > 1 ? "; total, mean and share are rank 0's, least, mean and most those of \(ranks) ranks" : ""
        return "Profile of \(stage), \(Self.fixed(seconds, 3)) s\(ranks)\n\(line)\n" + lines.joined(separator: "\n")
    }

    static func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
