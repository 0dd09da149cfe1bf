/// The loggers a configuration can name; each writes into the run's directory, or beside it.
public enum LoggerKind: String, Codable, Sendable, CaseIterable {
    /// `metrics.csv` and `hparams.yaml`.
    case csv
    /// `metrics.jsonl`.
    case jsonLines
    /// An event file for TensorBoard.
    case tensorBoard
    /// A run in the store `<defaultRootDir>/mlruns`.
    case mlflow

    /// The logger of a run.
    func make(directory: String, root: String) throws -> any MetricLogger {
        switch self {
        case .csv: return CSVLogger(directory: directory)
        case .jsonLines: return JSONLinesLogger(directory: directory)
        case .tensorBoard: return TensorBoardLogger(directory: directory)
        case .mlflow:
            let name = directory.split(separator: "/").last.map(String.init) ?? directory
            return try MLflowLogger(root: root + "/mlruns", experiment: "lightning", run: name)
        }
    }
}
