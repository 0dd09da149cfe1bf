import Foundation

/// Writes values to `metrics.csv`, one value a line, and hyperparameters to `hparams.yaml`.
///
/// The file is only ever appended to, and each record is handed to the operating system at once: nothing is lost when
/// the program dies, and no line is ever rewritten, whatever names appear later.
public final class CSVLogger: MetricLogger {
    /// The run's directory.
    public let directory: String?
    private let path: String
    private var file: FileHandle?

    /// A logger that writes into a directory, which exists.
    public init(directory: String) {
        self.directory = directory
        path = directory + "/metrics.csv"
    }

    /// Writes `hparams.yaml`.
    public func logHyperparameters(_ yaml: String) throws {
        guard let directory else { return }
        try yaml.write(toFile: directory + "/hparams.yaml", atomically: true, encoding: .utf8)
    }

    /// Appends one line per value.
    public func log(_ record: MetricRecord) throws {
        var text = ""
        let moment =
            "\(record.epoch),\(record.batch),\(record.step),\(record.samples),\(String(format: "%.3f", record.seconds))"
        for (name, value) in record.values { text += "\(moment),\(quoted(name)),\(value)\n" }
        try opened().write(contentsOf: Data(text.utf8))
    }

    private func opened() throws -> FileHandle {
        if let file { return file }
        if !FileManager.default.fileExists(atPath: path) {
            guard
                FileManager.default.createFile(
                    atPath: path, contents: Data("epoch,batch,step,samples,seconds,name,value\n".utf8))
            else { throw TrainingError("\(path) cannot be created") }
        }
        guard let handle = FileHandle(forWritingAtPath: path) else { throw TrainingError("\(path) cannot be written") }
        try handle.seekToEnd()
        file = handle
        return handle
    }

    private func quoted(_ name: String) -> String {
        guard name.contains(where: { ",\"\n".contains($0) }) else { return name }
        return "\"" + name.replacingOccurrences(of: "\"", with: "\"\"") + "\""
    }

    /// Waits until the lines are on the disk.
    public func flush() throws { try file?.synchronize() }

    /// Closes the file.
    public func finalize(_ status: String) throws {
        try file?.synchronize()
        try file?.close()
        file = nil
    }
}
