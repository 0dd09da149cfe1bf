import Checkpoints
import Foundation

/// `index.json` beside the checkpoints of a run: which is the best, which the last, and what each scored.
struct CheckpointIndex: Codable, Sendable, Equatable {
    /// One kept file.
    struct Entry: Codable, Sendable, Equatable {
        var file: String
        var score: Double?
        var epoch: Int
        var step: Int
    }

    /// The kept files, best first.
    var kept: [Entry] = []
    /// The newest file to go on from.
    var last: String?

    /// The best file.
    var best: String? { kept.first?.file }

    /// Names files by their path, as seen from another directory.
    mutating func qualify(_ directory: String) {
        for place in kept.indices { kept[place].file = CheckpointIndex.path(of: kept[place].file, in: directory) }
        last = last.map { CheckpointIndex.path(of: $0, in: directory) }
    }

    /// Names the files of one's own directory without it.
    mutating func adopt(_ directory: String) {
        let own = { (file: String) in
            file.hasPrefix(directory + "/") ? String(file.dropFirst(directory.count + 1)) : file
        }
        for place in kept.indices { kept[place].file = own(kept[place].file) }
        last = last.map(own)
    }

    /// Where a file of an index is: beside it, or, when it comes from a run that was resumed, where it says.
    static func path(of file: String, in directory: String) -> String {
        file.contains("/") ? file : directory + "/" + file
    }

    /// The paths of all files, the newest to go on from first.
    func newestFirst(in directory: String) -> [String] {
        let older = kept.sorted { $0.step > $1.step }.map(\.file).filter { $0 != last }
        return ((last.map { [$0] } ?? []) + older).map { Self.path(of: $0, in: directory) }
    }

    /// The index of a directory; nil when it has none.
    ///
    /// - Throws: `CheckpointError` for one that cannot be read: what is not known must not pass for nothing.
    static func read(in directory: String) throws -> CheckpointIndex? {
        let path = directory + "/index.json"
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        do {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            return try JSON.decode(CheckpointIndex.self, from: String(decoding: data, as: UTF8.self))
        } catch {
            throw CheckpointError(
                "'\(path)', which lists the checkpoints of a fit, cannot be read; give the path of one")
        }
    }

    func write(in directory: String) throws {
        try JSON.pretty(self).write(to: URL(fileURLWithPath: directory + "/index.json"), options: .atomic)
    }
}
