import Foundation

/// What a run directory says about a run: the values of `metrics.csv`, or of `metrics.jsonl` when there is no such file.
struct RunRecords {
    /// One value of a series.
    struct Point: Equatable {
        var step: Int
        var value: Double
    }

    /// The values by name, names in the order of first appearance.
    private(set) var series: [(name: String, points: [Point])] = []
    /// The moments at which something was logged, with what had been trained by then.
    private(set) var moments: [(step: Int, samples: Int, seconds: Double, epoch: Int)] = []
    private var places: [String: Int] = [:]

    /// Reads the files of a directory.
    ///
    /// - Throws: ``TrainingError`` when there is nothing to read.
    init(directory: String) throws {
        let csv = directory + "/metrics.csv", lines = directory + "/metrics.jsonl"
        if let text = try? String(contentsOfFile: csv, encoding: .utf8) {
            try readCSV(text, csv)
        } else if let text = try? String(contentsOfFile: lines, encoding: .utf8) {
            try readLines(text, lines)
        } else {
            throw TrainingError("\(directory) holds neither metrics.csv nor metrics.jsonl; give the directory of a run")
        }
    }

    /// Samples per second between the moments at which the count of samples grew.
    var throughput: [Point] {
        var points: [Point] = []
        guard var last = moments.first else { return [] }
        for moment in moments where moment.samples > last.samples {
            let seconds = moment.seconds - last.seconds
            guard seconds > 0 else { continue }
            points.append(Point(step: moment.step, value: Double(moment.samples - last.samples) / seconds))
            last = moment
        }
        return points
    }

    // MARK: - Reading

    private mutating func add(_ name: String, _ value: Double, step: Int) {
        if let place = places[name] {
            series[place].points.append(Point(step: step, value: value))
        } else {
            places[name] = series.count
            series.append((name, [Point(step: step, value: value)]))
        }
    }

    private mutating func readCSV(_ text: String, _ path: String) throws {
        // A program that was killed may have left half a line at the end.
        for (number, fields) in Self.rows(text).enumerated().dropFirst() {
            guard fields.count == 7 else {
                throw TrainingError("\(path):\(number + 1): \(fields.count) fields; a line has 7")
            }
            guard let epoch = Int(fields[0]), let step = Int(fields[2]), let samples = Int(fields[3]),
                let seconds = Double(fields[4]), let value = Double(fields[6])
            else { throw TrainingError("\(path):\(number + 1): not numbers where numbers belong") }
            add(fields[5], value, step: step)
            moments.append((step, samples, seconds, epoch))
        }
    }

    /// The whole rows of a CSV text; a field in quotes may hold commas, line ends and doubled quotes.
    private static func rows(_ text: String) -> [[String]] {
        var rows: [[String]] = [], row: [String] = [], field = ""
        var isQuoted = false, justClosed = false
        for character in text {
            if isQuoted {
                if character == "\"" { (isQuoted, justClosed) = (false, true) } else { field.append(character) }
                continue
            }
            switch character {
            case "\"":
                if justClosed { field.append("\"") }
                isQuoted = true
            case ",":
                row.append(field)
                field = ""
            case "\n", "\r\n":
                rows.append(row + [field])
                (row, field) = ([], "")
            default: field.append(character)
            }
            justClosed = false
        }
        return rows
    }

    private struct Line: Decodable {
        var epoch: Int
        var step: Int
        var samples: Int
        var seconds: Double
        var values: [String: Double]
    }

    private mutating func readLines(_ text: String, _ path: String) throws {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        lines.removeLast()  // what follows the last line's end: nothing, or half a line
        for line in lines where line.contains("\"values\":") {
            let record = try JSON.decode(Line.self, from: String(line))
            for (name, value) in record.values.sorted(by: { $0.key < $1.key }) { add(name, value, step: record.step) }
            moments.append((record.step, record.samples, record.seconds, record.epoch))
        }
    }
}
