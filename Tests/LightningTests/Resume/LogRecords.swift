import Foundation
import Testing

/// What the loggers of one run have written, a text for each value, without times.
///
/// Of what a machine took, such as memory and speed, the names are kept and the values are not.
struct LogRecords: Equatable {
    /// By logger; MLflow's by metric, since each has a file of its own.
    private(set) var lines: [String: [String]] = [:]

    /// Reads the files of a run.
    ///
    /// - Parameters:
    ///   - run: The run's directory.
    ///   - name: The run's name in MLflow's store.
    ///   - store: MLflow's store.
    init(run: String, name: String, store: String) throws {
        lines["csv"] = try Self.csv(run + "/metrics.csv")
        lines["json lines"] = try Self.jsonLines(run + "/metrics.jsonl")
        lines["events"] = try Self.events(in: run)
        for (metric, values) in try Self.mlflow(name, in: store) { lines["mlflow " + metric] = values }
    }

    /// What is left behind the lines that another log has already; the same number of them in each file.
    func dropping(_ done: LogRecords) -> LogRecords {
        var rest = self
        for (file, lines) in lines { rest.lines[file] = Array(lines.dropFirst(done.lines[file]?.count ?? 0)) }
        rest.lines = rest.lines.filter { !$0.value.isEmpty }
        return rest
    }

    /// Whether each file begins with the lines of another log.
    func begins(with other: LogRecords) -> Bool {
        other.lines.allSatisfy { file, lines in self.lines[file].map { $0.starts(with: lines) } ?? false }
    }

    /// The first line in which two logs differ, for messages.
    func difference(from other: LogRecords) -> String {
        for file in Set(lines.keys).union(other.lines.keys).sorted() {
            let (own, others) = (lines[file] ?? [], other.lines[file] ?? [])
            guard own != others else { continue }
            let place = zip(own, others).enumerated().first { $1.0 != $1.1 }?.offset ?? min(own.count, others.count)
            let at = { (lines: [String]) in place < lines.count ? lines[place] : "nothing" }
            return "\(file), line \(place) of \(own.count) and \(others.count): '\(at(own))' and '\(at(others))'"
        }
        return "none"
    }

    private static func text(_ name: String, _ value: some Any) -> String {
        name.hasPrefix("throughput/") || name.hasPrefix("device/") ? "\(name) *" : "\(name) \(value)"
    }

    private static func read(_ path: String) throws -> [Substring] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
    }

    private static func csv(_ path: String) throws -> [String] {
        try read(path).dropFirst().map { line in
            let fields = line.split(separator: ",").map(String.init)
            return fields[0..<4].joined(separator: " ") + " " + text(fields[5], fields[6])
        }
    }

    private struct JSONLine: Decodable {
        var epoch: Int?
        var batch: Int?
        var step: Int?
        var samples: Int?
        var values: [String: Double]?
        var status: String?
    }

    /// The hyperparameters, which are written when a run begins, are no part of what is compared.
    private static func jsonLines(_ path: String) throws -> [String] {
        try read(path).compactMap { line in
            let record = try JSONDecoder().decode(JSONLine.self, from: Data(line.utf8))
            if let status = record.status { return "status \(status)" }
            guard let values = record.values else { return nil }
            let moment = [record.epoch, record.batch, record.step, record.samples].map { $0.map(String.init) ?? "?" }
            return (moment + values.sorted { $0.key < $1.key }.map { text($0.key, $0.value) }).joined(separator: " ")
        }
    }

    private static func events(in run: String) throws -> [String] {
        let files = try FileManager.default.contentsOfDirectory(atPath: run).filter { $0.contains(".tfevents.") }
        let file = try #require(files.count == 1 ? files.first : nil, "\(files)")
        return try EventFile(run + "/" + file).scalars.map { "\($0.step) " + text($0.name, $0.value.bitPattern) }
    }

    private static func mlflow(_ name: String, in store: String) throws -> [String: [String]] {
        let files = FileManager.default
        let tags = try files.subpathsOfDirectory(atPath: store).filter { $0.hasSuffix("/tags/mlflow.runName") }
        let own = try tags.filter { try String(contentsOfFile: "\(store)/\($0)", encoding: .utf8) == name }
        let tag = try #require(own.count == 1 ? own.first : nil, "\(tags)")
        let directory = "\(store)/\(tag.dropLast("/tags/mlflow.runName".count))/metrics"
        var found: [String: [String]] = [:]
        for metric in try files.subpathsOfDirectory(atPath: directory) {
            var isDirectory: ObjCBool = false
            guard files.fileExists(atPath: "\(directory)/\(metric)", isDirectory: &isDirectory), !isDirectory.boolValue
            else { continue }
            // A name that was in the way of another has dots; which of two is later depends on where a run began.
            found[metric.replacing(".", with: "/")] = try read("\(directory)/\(metric)").map { line in
                let fields = line.split(separator: " ").map(String.init)
                return "\(fields[2]) " + text(metric.replacing(".", with: "/"), fields[1])
            }
        }
        return found
    }
}
