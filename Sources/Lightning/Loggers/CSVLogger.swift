import Foundation

/// Writes values to `metrics.csv`, one value a line, and hyperparameters to `hparams.yaml`.
///
/// The file is only ever appended to, and each record is handed to the operating system at once: nothing is lost when
/// the program dies, and no line is ever rewritten, whatever names appear later.
public final class CSVLogger: MetricLogger {
    /// The run's directory.
    public let directory: String?
    private let path: String
    private let file: AppendingFile

    /// A logger that writes into a directory.
    public init(directory: String) {
        self.directory = directory
        path = directory
        file = AppendingFile(directory + "/metrics.csv", header: "epoch,batch,step,samples,seconds,name,value\n")
    }

    /// Writes `hparams.yaml`.
    public func logHyperparameters(_ yaml: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try yaml.write(toFile: path + "/hparams.yaml", atomically: true, encoding: .utf8)
    }

    /// Appends one line per value.
    public func log(_ record: MetricRecord) throws {
        var text = ""
        let moment =
            "\(record.epoch),\(record.batch),\(record.step),\(record.samples),\(String(format: "%.3f", record.seconds))"
        for (name, value) in record.values { text += "\(moment),\(quoted(name)),\(value)\n" }
        try file.append(text)
    }

    private func quoted(_ name: String) -> String {
        guard name.contains(where: { ",\"\n".contains($0) }) else { return name }
        return "\"" + name.replacingOccurrences(of: "\"", with: "\"\"") + "\""
    }

    /// Waits until the lines are on the disk.
    public func flush() throws { try file.flush() }

    /// Closes the file.
    public func finalize(_ status: String) throws { try file.close() }
}
