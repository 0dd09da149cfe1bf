import Checkpoints
import Foundation

extension Trainer {
    /// The checkpoint a fit goes on from; nil for `last` when the last fit had not saved anything, or there was none:
    /// then to go on is to begin.
    func checkpointToResume(_ name: String) throws -> Checkpoint? {
        if name == "last", checkpointCallback?.lastPath == nil {
            let own = isGlobalZero ? Result { try lastRunWithIndex() ?? "" } : .success("")
            if case .failure(let error) = own { throw error }
            if try strategy.broadcast(own.get(), tag: "run to resume").isEmpty {
                print(
                    "no fit in '\(configuration.defaultRootDir)' has saved a checkpoint to go on from; beginning anew")
                return nil
            }
        }
        return try loadCheckpoint(name)
    }

    /// The newest fit of the same experiment, if it has saved something.
    private func lastRunWithIndex() throws -> String? {
        let newest = RunDirectory.newest(in: configuration.defaultRootDir) { isFitOfThisExperiment($0) }
        return try newest.flatMap { try CheckpointIndex.read(in: $0 + "/checkpoints") == nil ? nil : $0 }
    }

    private func isFitOfThisExperiment(_ path: String) -> Bool {
        guard FileManager.default.fileExists(atPath: path + "/checkpoints") else { return false }
        guard let own = configurationText,
            let other = try? String(contentsOfFile: path + "/config.yaml", encoding: .utf8)
        else { return true }
        return own.prefix { $0 != "\n" } == other.prefix { $0 != "\n" }  // `experiment: name`
    }

    /// Reads a checkpoint given by path, or by the words `best` and `last`.
    ///
    /// - Parameters:
    ///   - name: A path, whose file must be whole, or `best`, or `last`: the newest file that is whole.
    ///   - weightsOnly: Reads no more than weights and hyperparameters.
    func loadCheckpoint(_ name: String, weightsOnly: Bool = false) throws -> Checkpoint {
        let found = isGlobalZero ? Result { try checkpointPaths(name) } : .success([])
        if case .failure(let error) = found { throw error }
        let paths = try JSON.decode(
            [String].self, from: strategy.broadcast(JSON.encode(found.get()), tag: "checkpoint to load"))
        if name == "last" { return try loadNewest(of: paths, weightsOnly: weightsOnly) }
        loadedCheckpoint = paths[0]
        print("loading \(paths[0])")
        return try Checkpoint.read(from: paths[0], weightsOnly: weightsOnly)
    }

    /// Reads the first of some checkpoints that every rank finds whole.
    ///
    /// - Throws: ``CheckpointError`` on every rank when there is none, with what is wrong with each.
    private func loadNewest(of paths: [String], weightsOnly: Bool) throws -> Checkpoint {
        var damaged: [String] = []
        for path in paths {
            let read = Result {
                let checkpoint = try Checkpoint.read(from: path, weightsOnly: weightsOnly)
                guard weightsOnly || checkpoint.values["run"] != nil else {
                    throw CheckpointError("it holds weights only")
                }
                return checkpoint
            }
            var reason = ""
            if case .failure(let error) = read {
                reason = "\(error)".split(separator: "\n").first.map(String.init) ?? "unknown"
            }
            let reasons = try strategy.gather(reason, tag: "whether a checkpoint is whole")
            guard let worst = reasons.first(where: { !$0.isEmpty }) else {
                if !damaged.isEmpty {
                    print(
                        "warning: the newest checkpoint cannot be read, \(damaged.joined(separator: "; ")); an older one takes its place, '\(path)'"
                    )
                }
                loadedCheckpoint = path
                print("loading \(path)")
                return try read.get()
            }
            damaged.append("'\(path)': \(worst)")
        }
        throw CheckpointError(
            "'last': no checkpoint of the newest fit can be read, \(damaged.joined(separator: "; ")); give the path of another one"
        )
    }

    /// The file meant by a path, or by the words `best` and `last`: of this trainer's run, or of the newest fit of the
    /// same experiment.
    public func checkpointPath(_ name: String) throws -> String { try checkpointPaths(name)[0] }

    /// The file meant, and for `last` those that can take its place, newest first.
    private func checkpointPaths(_ name: String) throws -> [String] {
        guard name == "best" || name == "last" else {
            guard FileManager.default.fileExists(atPath: name) else {
                throw CheckpointError("there is no checkpoint '\(name)'")
            }
            return [name]
        }
        if let callback = checkpointCallback {
            if name == "best", let path = callback.bestPath { return [path] }
            if name == "last", callback.lastPath != nil { return callback.pathsNewestFirst }
        }
        let root = configuration.defaultRootDir
        guard let newest = RunDirectory.newest(in: root, where: isFitOfThisExperiment) else {
            throw CheckpointError("'\(name)': there is no fit of this experiment in '\(root)' (trainer.defaultRootDir)")
        }
        let directory = newest + "/checkpoints"
        let index = try CheckpointIndex.read(in: directory) ?? CheckpointIndex()
        if name == "best", let best = index.best { return [CheckpointIndex.path(of: best, in: directory)] }
        if name == "last", index.last != nil { return index.newestFirst(in: directory) }
        throw CheckpointError(
            "'\(name)': the newest fit, '\(newest)', has saved no such checkpoint; give the path of another one")
    }
}
