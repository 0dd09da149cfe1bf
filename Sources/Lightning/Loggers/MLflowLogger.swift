import Foundation

/// Writes a run into MLflow's file store: `mlflow ui --backend-store-uri ROOT` shows it.
///
/// The store is a directory `<root>/<experiment>/<run>` with `meta.yaml`, one file per parameter in `params`, one per
/// metric in `metrics` (a line `milliseconds value step` each time, appended), and `tags`. A metric named `a/b` is the
/// file `b` in the directory `a`, as in MLflow; when there is a metric `a` too, the later one has dots for slashes, or a
/// `_` behind it, since no file is a directory. Nothing is lost when the program dies; the run is then still said to be
/// running.
public final class MLflowLogger: MetricLogger {
    /// The run's directory in the store.
    public let directory: String?
    /// The run's identifier in the store.
    public let runIdentifier: String
    private let path: String
    private let experiment: String
    private let name: String
    private let begin = MLflowLogger.now()
    private var metrics: [String: AppendingFile] = [:]
    /// The files of metrics, by their place in `metrics`.
    private var places: Set<String> = []
    private var isBegun = false

    /// A logger of a new run.
    ///
    /// - Parameters:
    ///   - root: The store's directory, `mlruns` for MLflow's own default; made when it is not there.
    ///   - experiment: The experiment's name.
    ///   - run: The run's name.
    public init(root: String, experiment: String, run: String) throws {
        self.experiment = experiment
        name = run
        runIdentifier = UUID().uuidString.lowercased().filter { $0 != "-" }
        path = try Self.experimentDirectory(experiment, in: root) + "/" + runIdentifier
        directory = path
    }

    private static func now() -> Int { Int((Date().timeIntervalSince1970 * 1000).rounded()) }

    /// The experiment's directory: the one whose `meta.yaml` has its name, or a new one.
    private static func experimentDirectory(_ name: String, in root: String) throws -> String {
        let files = FileManager.default
        try files.createDirectory(atPath: root, withIntermediateDirectories: true)
        let nameLine = try YAMLText.encode(["name": name])
        for entry in try files.contentsOfDirectory(atPath: root).sorted() {
            let meta = try? String(contentsOfFile: "\(root)/\(entry)/meta.yaml", encoding: .utf8)
            if let meta, ("\n" + meta).contains("\n" + nameLine) { return "\(root)/\(entry)" }
        }
        // MLflow numbers experiments by time and chance too: two programs at once must not take one number.
        let identifier = String(UInt64.random(in: 100_000_000_000_000_000..<1_000_000_000_000_000_000))
        let path = "\(root)/\(identifier)"
        try files.createDirectory(atPath: path, withIntermediateDirectories: true)
        let meta = ExperimentMeta(
            artifact_location: URL(fileURLWithPath: path).absoluteURL.absoluteString, creation_time: now(),
            experiment_id: identifier, last_update_time: now(), lifecycle_stage: "active", name: name)
        try YAMLText.encode(meta).write(toFile: path + "/meta.yaml", atomically: true, encoding: .utf8)
        return path
    }

    // swift-format-ignore: AlwaysUseLowerCamelCase
    private struct ExperimentMeta: Encodable {
        let artifact_location: String
        let creation_time: Int
        let experiment_id: String
        let last_update_time: Int
        let lifecycle_stage: String
        let name: String
    }

    // swift-format-ignore: AlwaysUseLowerCamelCase
    private struct RunMeta: Encodable {
        let artifact_uri: String
        let end_time: Int?
        var entry_point_name = ""
        let experiment_id: String
        var lifecycle_stage = "active"
        let run_id: String
        let run_name: String
        let run_uuid: String
        var source_name = ""
        var source_type = 4  // LOCAL
        var source_version = ""
        let start_time: Int
        let status: Int
        var tags: [String] = []
        let user_id: String
    }

    private enum Status: Int { case running = 1, finished = 3, failed, killed }

    /// Makes the directory of the run, once.
    private func beginRun() throws {
        guard !isBegun else { return }
        isBegun = true
        for part in ["artifacts", "metrics", "params", "tags"] {
            try FileManager.default.createDirectory(atPath: "\(path)/\(part)", withIntermediateDirectories: true)
        }
        try writeMeta(.running)
        try write(["mlflow.runName": name, "mlflow.user": NSUserName()], in: "tags")
    }

    private func writeMeta(_ status: Status) throws {
        let url = URL(fileURLWithPath: path)
        let meta = RunMeta(
            artifact_uri: url.appendingPathComponent("artifacts").absoluteString,
            end_time: status == .running ? nil : Self.now(),
            experiment_id: url.deletingLastPathComponent().lastPathComponent, run_id: runIdentifier, run_name: name,
            run_uuid: runIdentifier, start_time: begin, status: status.rawValue, user_id: NSUserName())
        try YAMLText.encode(meta).write(toFile: path + "/meta.yaml", atomically: true, encoding: .utf8)
    }

    private func write(_ texts: [String: String], in part: String) throws {
        for (key, text) in texts {
            try text.write(toFile: "\(path)/\(part)/\(Self.fileName(key))", atomically: true, encoding: .utf8)
        }
    }

    /// A key as MLflow allows it: letters, digits, `_ - . space : /`, and no way out of the directory.
    static func fileName(_ key: String) -> String {
        let allowed = key.map { character in
            character.isASCII && (character.isLetter || character.isNumber || "_-. :/".contains(character))
                ? character : "_"
        }
        return String(allowed).split(separator: "/").map { $0.allSatisfy { $0 == "." } ? "_" : String($0) }
            .joined(separator: "/")
    }

    /// A place for a metric that neither needs a file as a directory nor a directory as a file.
    private func newPlace(for name: String) -> String {
        let key = Self.fileName(name)
        let isFree = { (place: String) in
            self.places.allSatisfy { $0 != place && !$0.hasPrefix(place + "/") && !place.hasPrefix($0 + "/") }
        }
        var place = isFree(key) ? key : key.replacing("/", with: ".")
        while !isFree(place) { place += "_" }
        places.insert(place)
        return place
    }

    /// Writes one file per hyperparameter, keys joined by dots.
    public func logHyperparameters(_ yaml: String) throws {
        try beginRun()
        let list = try HyperparameterList(yaml: yaml)
        try write(
            Dictionary(list.values.map { ($0.key, $0.value.text) }, uniquingKeysWith: { $1 }), in: "params")
    }

    /// Appends a line to the file of each metric.
    public func log(_ record: MetricRecord) throws {
        try beginRun()
        let now = Self.now()
        for (name, value) in record.values {
            let file = metrics[name] ?? AppendingFile("\(path)/metrics/\(newPlace(for: name))")
            metrics[name] = file
            try file.append("\(now) \(value) \(record.step)\n")
        }
    }

    /// Waits until the lines are on the disk.
    public func flush() throws { for file in metrics.values { try file.flush() } }

    /// Closes the files, and says in `meta.yaml` how the run ended.
    public func finalize(_ status: String) throws {
        for file in metrics.values { try file.close() }
        guard isBegun else { return }
        try writeMeta(status == "finished" ? .finished : status == "interrupted" ? .killed : .failed)
    }
}
