import Checkpoints
import Foundation
import Lightning
import TestSupport
import Testing
import TrainerFixtures

/// The newest checkpoint is damaged: an older one takes its place, when the newest and no certain one was asked for.
@Suite(.serialized) struct DamagedCheckpointTests {
    private let scratch: ScratchDirectory
    private var directory: String { scratch.file("version_0/checkpoints") }

    init() throws { scratch = try ScratchDirectory() }

    /// What trains two epochs of four batches and keeps the two best and the newest.
    private let arguments = ["global=6", "epochs=2", "saveIn=run", "monitor=train_loss", "saveEvery=3"]

    private func checkpoints() throws -> [(file: String, step: Int)] {
        struct Index: Decodable {
            struct Entry: Decodable {
                var file: String
                var step: Int
            }
            var kept: [Entry]
        }
        let index = try JSONDecoder().decode(
            Index.self, from: Data(contentsOf: URL(fileURLWithPath: directory + "/index.json")))
        return index.kept.map { ($0.file, $0.step) }.sorted { $0.1 > $1.1 }
    }

    /// Turns some bits in the middle of a file over, in a copy: another name of the file keeps them.
    private func damage(_ path: String) throws {
        let url = URL(fileURLWithPath: path)
        var bytes = [UInt8](try Data(contentsOf: url))
        for place in stride(from: bytes.count / 4, to: bytes.count, by: 97) { bytes[place] ^= 0x55 }
        try FileManager.default.removeItem(at: url)
        try Data(bytes).write(to: url)
    }

    @Test(arguments: [0, 2]) func theNewestWholeOneTakesItsPlace(ranks: Int) throws {
        _ = try SelfTest.success("train", arguments, in: scratch, ranks: ranks)
        let kept = try checkpoints()
        try #require(kept.count == 2 && kept[0].step == 6 && kept[1].step == 3)
        let (last, newer, older) = (
            directory + "/last.h5", "\(directory)/\(kept[0].file)", "\(directory)/\(kept[1].file)"
        )
        for damaged in [[last], [last, newer]] {
            try damage(try #require(damaged.last))
            let found = damaged.count == 1 ? newer : older
            let run = try SelfTest.success("train", arguments + ["epochs=3", "resume=last"], in: scratch, ranks: ranks)
            let warnings = run.run.output.split(separator: "\n").filter { $0.hasPrefix("warning: the newest") }
            #expect(warnings.count == 1, "rank 0 says it once: \(run.run.output)")
            let warning = try #require(warnings.first)
            #expect(warning.hasPrefix("warning: the newest checkpoint cannot be read, '\(last)': "))
            #expect(warning.hasSuffix("; an older one takes its place, '\(found)'"))
            #expect(damaged.allSatisfy { warning.contains("'\($0)': ") })
            #expect(run["steps"] == "12" && run.run.output.contains("loading \(found)\n"))
            // The run that went on is no longer the newest.
            try FileManager.default.removeItem(atPath: scratch.file("version_1"))
        }
        // By its path it is an error, and so it is when none is left.
        let explicit = try SelfTest("train", arguments + ["resume=\(last)"], in: scratch, ranks: ranks)
        #expect(explicit.run.status == 1 && !explicit.run.output.contains("warning"), "\(explicit.run.output)")
        try damage(older)
        let none = try SelfTest("train", arguments + ["resume=last"], in: scratch, ranks: ranks)
        #expect(none.run.status == 1, "\(none.run.output)")
        #expect(none.run.output.contains("'last': no checkpoint of the newest fit can be read, '\(last)': "))
    }

    /// A list of checkpoints that cannot be read does not mean that there are none.
    @Test func aDamagedListIsAnError() throws {
        _ = try SelfTest.success("train", arguments, in: scratch, ranks: 0)
        try Data("{".utf8).write(to: URL(fileURLWithPath: directory + "/index.json"))
        let run = try SelfTest("train", arguments + ["resume=last"], in: scratch, ranks: 0)
        #expect(run.run.status == 1)
        #expect(run.run.output.contains("/index.json', which lists the checkpoints of a fit, cannot be read"))
    }

    /// A run that goes on and dies before it saves anything is gone on with from where it began.
    @Test func aRunThatDiedBeforeItSavedLeavesWhereItBegan() throws {
        _ = try SelfTest.success("train", arguments + ["epochs=1"], in: scratch, ranks: 0)
        let killed = try SelfTest("train", arguments + ["resume=last", "killAt=4"], in: scratch, ranks: 0)
        try #require(killed.run.status == 137, "\(killed.run.output)")
        let rest = try SelfTest.success("train", arguments + ["resume=last"], in: scratch, ranks: 0)
        #expect(rest["steps"] == "8" && rest.run.output.contains("loading \(directory)/last.h5\n"))
    }
}
