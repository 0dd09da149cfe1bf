/// Writes values to `metrics.jsonl`, one JSON object a line.
///
/// A record is `{"batch":…,"epoch":…,"samples":…,"seconds":…,"step":…,"values":{"name":…}}`; hyperparameters and the end
/// of the run are objects with the one key `hyperparameters` or `status`. Numbers that are not finite are the texts
/// `nan`, `inf` and `-inf`.
public final class JSONLinesLogger: MetricLogger {
    /// The run's directory.
    public let directory: String?
    private let file: AppendingFile

    /// A logger that writes into a directory.
    public init(directory: String) {
        self.directory = directory
        file = AppendingFile(directory + "/metrics.jsonl")
    }

    private struct Line: Encodable {
        let epoch: Int
        let batch: Int
        let step: Int
        let samples: Int
        let seconds: Double
        let values: [String: Double]
    }

    /// Appends the hyperparameters, their keys joined by dots.
    public func logHyperparameters(_ yaml: String) throws {
        let list = try HyperparameterList(yaml: yaml)
        let pairs = Dictionary(list.values.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        try file.append(JSON.encode(["hyperparameters": pairs]) + "\n")
    }

    /// Appends one line.
    public func log(_ record: MetricRecord) throws {
        let line = Line(
            epoch: record.epoch, batch: record.batch, step: record.step, samples: record.samples,
            seconds: record.seconds,
            values: Dictionary(record.values.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 }))
        try file.append(JSON.encode(line) + "\n")
    }

    /// Waits until the lines are on the disk.
    public func flush() throws { try file.flush() }

    /// Appends how the run ended, and closes the file.
    public func finalize(_ status: String) throws {
        try file.append(JSON.encode(["status": status]) + "\n")
        try file.close()
    }
}
