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

    static func read(in directory: String) -> CheckpointIndex? {
        guard let data = FileManager.default.contents(atPath: directory + "/index.json") else { return nil }
        return try? JSON.decode(CheckpointIndex.self, from: String(decoding: data, as: UTF8.self))
    }

    func write(in directory: String) throws {
        try JSON.pretty(self).write(to: URL(fileURLWithPath: directory + "/index.json"), options: .atomic)
    }
}
