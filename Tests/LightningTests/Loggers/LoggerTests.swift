import Foundation
import Lightning
import TestSupport
import Testing

/// Several loggers at once keep the same values: in a whole run, on many ranks, and when the program is killed.
@Suite(.serialized) struct LoggerTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private static let all = LoggerKind.allCases.map(\.rawValue).joined(separator: ",")

    private struct Value: Hashable {
        var name: String
        var step: Int
        var value: Double
    }

    private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    private func names(in directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    }

    private func csv(_ run: String) throws -> [Value] {
        try text(run + "/metrics.csv").split(separator: "\n").dropFirst().map { line in
            let fields = line.split(separator: ",").map(String.init)
            return Value(
                name: fields[5], step: try #require(Int(fields[2])), value: try #require(Double(fields[6])))
        }
    }

    private struct Line: Decodable {
        var step: Int?
        var values: [String: Double]?
    }

    private func jsonLines(_ run: String) throws -> [Value] {
        try text(run + "/metrics.jsonl").split(separator: "\n").flatMap { line -> [Value] in
            let record = try JSONDecoder().decode(Line.self, from: Data(line.utf8))
            return (record.values ?? [:]).map { Value(name: $0.key, step: record.step ?? -1, value: $0.value) }
        }
    }

    private func events(_ run: String) throws -> [Value] {
        let files = try names(in: run).filter { $0.contains(".tfevents.") }
        try #require(files.count == 1, "\(files)")
        return try EventFile(run + "/" + files[0]).scalars.map {
            Value(name: $0.name, step: $0.step, value: Double($0.value))
        }
    }

    /// The directory of the only run of the only experiment in a store.
    private func mlflowRun(_ root: String) throws -> String {
        let experiments = try names(in: root + "/mlruns")
        try #require(experiments.count == 1)
        let path = "\(root)/mlruns/\(experiments[0])"
        let runs = try names(in: path).filter { $0 != "meta.yaml" }
        try #require(runs.count == 1)
        return path + "/" + runs[0]
    }

    private func mlflow(_ run: String) throws -> [Value] {
        try names(in: run + "/metrics").flatMap { name in
            try text("\(run)/metrics/\(name)").split(separator: "\n").map { line in
                let fields = line.split(separator: " ")
                return Value(
                    name: name, step: try #require(Int(fields[2])), value: try #require(Double(fields[1])))
            }
        }
    }

    private func expectSame(_ found: [Value], _ wanted: [Value], _ logger: String) {
        func sorted(_ values: [Value]) -> [Value] {
            values.sorted { ($0.name, $0.step, $0.value) < ($1.name, $1.step, $1.value) }
        }
        #expect(sorted(found) == sorted(wanted), "\(logger)")
    }

    private func expectAllAlike(_ run: String, _ root: String) throws {
        let wanted = try csv(run)
        #expect(wanted.count > 6)
        try expectSame(jsonLines(run), wanted, "JSON lines")
        try expectSame(mlflow(mlflowRun(root)), wanted, "MLflow")
        let single = wanted.map { Value(name: $0.name, step: $0.step, value: Double(Float($0.value))) }
        try expectSame(events(run), single, "TensorBoard")
    }

    @Test(arguments: [0, 2]) func allLoggersKeepTheSame(ranks: Int) throws {
        let configuration = scratch.file("digits.yaml")
        let text = """
            experiment: digits
            model: {channels: [4, 8], hidden: 16}
            data: {batch: {global: 60}}
            trainer:
              maxEpochs: 2
              limitTrainBatches: 6
              logEverySteps: 2
              enableProgressBar: false
              defaultRootDir: \(scratch.file("runs"))
              loggers: [\(Self.all)]
            """
        try text.write(toFile: configuration, atomically: true, encoding: .utf8)
        let result = try MPIRun("lightning", ["fit", "--config", configuration], ranks: ranks, limit: 120)
        try #require(result.status == 0, "\(result.output)")
        let run = scratch.file("runs/version_0")
        try expectAllAlike(run, scratch.file("runs"))

        // Hyperparameters.
        let stored = try mlflowRun(scratch.file("runs"))
        #expect(try self.text(stored + "/params/hidden") == "16")
        #expect(try self.text(stored + "/params/channels.1") == "8")
        let first = try #require(try self.text(run + "/metrics.jsonl").split(separator: "\n").first)
        #expect(first.hasPrefix(#"{"hyperparameters":{"channels.0":4,"channels.1":8,"#))
        #expect(try self.text(run + "/metrics.jsonl").hasSuffix("{\"status\":\"finished\"}\n"))
        let meta = try self.text(stored + "/meta.yaml")
        #expect(meta.contains("\nstatus: 3\n") && meta.contains("\nrun_name: version_0\n"), "\(meta)")
        #expect(try self.text(stored + "/tags/mlflow.runName") == "version_0")

        // The report of the same run, from either file.
        let report = try MPIRun("lightning", ["report", run], ranks: 0, limit: 60)
        #expect(report.status == 0 && report.output == run + "/report.html\n", "\(report.output)")
        let page = try self.text(run + "/report.html")
        for title in ["loss", "acc", "samples per second"] {
            #expect(page.contains("<figcaption>\(title)</figcaption>"))
        }
        #expect(page.contains("<tr><th>hidden</th><td>16</td></tr>"))
        #expect(page.contains("<tr><th>trainer.logEverySteps</th><td>2</td></tr>"))
        #expect(!page.contains("http") && !page.contains("src="), "the page needs nothing else")
    }

    @Test func nothingIsLostWhenTheProgramIsKilled() throws {
        let arguments = ["loggers=\(Self.all)", "epochs=3", "global=4", "killAt=14"]
        let test = try SelfTest("train", arguments, in: scratch, ranks: 2)
        #expect(test.run.status == 137)
        let run = scratch.file("version_0")
        try expectAllAlike(run, scratch.path)
        #expect(try csv(run).filter { $0.name == "train_loss_step" }.map(\.step) == Array(1...14))
        #expect(try text(mlflowRun(scratch.path) + "/meta.yaml").contains("\nstatus: 1\n"))
    }

    @Test func aWrongNameIsAnErrorThatNamesTheOthers() throws {
        let path = scratch.file("a.yaml")
        try "experiment: digits\ntrainer:\n  loggers: [csv, tensorBord]\n".write(
            toFile: path, atomically: true, encoding: .utf8)
        let run = try MPIRun("lightning", ["fit", "--config", path], ranks: 0, limit: 60)
        #expect(run.status == 1)
        #expect(run.output.contains("a.yaml:3") && run.output.contains("tensorBoard"), "\(run.output)")
    }

    @Test func aStoreKeepsExperimentsByNameAndKeysInTheirPlace() throws {
        let root = scratch.file("store")
        let loggers = try ["one", "two", "one"].map { try MLflowLogger(root: root, experiment: $0, run: "r") }
        #expect(try names(in: root).count == 2)
        let record = MetricRecord(
            epoch: 0, batch: 1, step: 5, samples: 8, seconds: 1,
            values: [("val/acc", 0.5), ("../../out", 1), ("a b:c", .nan)])
        for logger in loggers { try logger.log(record) }
        for logger in loggers { try logger.finalize("interrupted") }
        let run = try #require(loggers[0].directory)
        #expect(try text(run + "/metrics/val/acc").hasSuffix(" 0.5 5\n"))
        #expect(try text(run + "/metrics/_/_/out").hasSuffix(" 1.0 5\n"))
        #expect(try text(run + "/metrics/a b:c").hasSuffix(" nan 5\n"))
        #expect(try text(run + "/meta.yaml").contains("\nstatus: 5\n"))
    }

    /// The learning rate of an optimizer that gets a second group: a metric, and metrics behind a slash.
    @Test func aMetricMayHaveTheNameOfAFolder() throws {
        let logger = try MLflowLogger(root: scratch.file("store"), experiment: "one", run: "r")
        for (step, names) in [["lr", "a/b"], ["lr/head", "a", "a.b"], ["lr", "lr/head", "a"]].enumerated() {
            let values = names.enumerated().map { ($1, Double($0)) }
            try logger.log(MetricRecord(epoch: 0, batch: step, step: step, samples: 0, seconds: 0, values: values))
        }
        try logger.finalize("finished")
        let metrics = try #require(logger.directory) + "/metrics"
        let wanted = ["lr": "0 2", "lr.head": "1 2", "a/b": "0", "a_": "1 2", "a.b": "1"]
        for (file, steps) in wanted {
            let lines = try text("\(metrics)/\(file)").split(separator: "\n")
            #expect(lines.compactMap { $0.split(separator: " ").last }.joined(separator: " ") == steps, "\(file)")
        }
    }
}
