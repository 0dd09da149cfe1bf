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

    static func read(in directory: String) -> CheckpointIndex? {
        guard let data = FileManager.default.contents(atPath: directory + "/index.json") else { return nil }
        return try? JSON.decode(CheckpointIndex.self, from: String(decoding: data, as: UTF8.self))
    }

    func write(in directory: String) throws {
        try JSON.pretty(self).write(to: URL(fileURLWithPath: directory + "/index.json"), options: .atomic)
    }
}
