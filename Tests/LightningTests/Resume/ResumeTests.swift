import Checkpoints
import Foundation
import Lightning
import TestSupport
import Testing

/// Run to N equals run to k, kill, resume to N: weights, optimizer, everything that is logged, every decision.
@Suite(.serialized) struct ResumeTests {
    /// How the run is made, and what resuming from any checkpoint of it must not change.
    private static let cases = [
        // Saved in the middle of epochs, with a validation inside them, dropout, and a schedule by steps.
        "saveEvery=1 monitor=val_loss validateEvery=2 dropout=0.4 schedule=step patience=90",
        // A validation at the end of epochs, right after a step that is saved; decisions by that validation.
        "saveEvery=1 monitor=val_loss dropout=0.4 schedule=plateau patience=2",
        // Windows of three batches, validations that fall due inside them, a short last window.
        "saveEvery=1 monitor=val_loss accumulate=3 validateEvery=2 schedule=epoch clip=0.2 patience=90",
        // Saved only now and then: what comes after the checkpoint is done again.
        "saveEvery=3 monitor=train_loss schedule=epoch patience=90 prefetch=yes",
        // Weights of 16 bits, whose values with full precision are the optimizer's.
        "saveEvery=1 monitor=val_loss precision=bf16-true schedule=step accumulate=2 patience=90",
        // Two loaders at once, of which the shorter begins anew in the middle of epochs; several in the validation.
        "samples=24 saveEvery=1 monitor=train_loss loading=cycle heldOutLoading=sequence prefetch=yes dropout=0.4 validateEvery=2",
        // A stream, whose batches are read and dropped until the run is where it was.
        "saveEvery=1 monitor=val_loss loading=stream prefetch=yes dropout=0.4 patience=90",
        // Saved at the ends of epochs only.
        "monitor=val_loss accumulate=2 dropout=0.4 schedule=plateau patience=90",
    ]

    @Test(arguments: cases) func aKilledRunGoesOn(options: String) throws {
        try check(options, ranks: 0, end: "killAt", steps: options.contains("accumulate") ? [2, 5] : [1, 4, 8, 11])
    }

    @Test(arguments: [cases[0], cases[2], cases[5], cases[6]]) func aKilledJobGoesOn(options: String) throws {
        try check(options, ranks: 2, end: "killAt", steps: [4])
    }

    @Test(arguments: [cases[0], cases[1]]) func aRunEndedByASignalGoesOn(options: String) throws {
        try check(options, ranks: 0, end: "terminateAt", steps: [3, 7])
    }

    private func check(_ options: String, ranks: Int, end: String, steps: [Int]) throws {
        // Batches of 4: 7 batches an epoch, the last with one sample.
        let arguments = ["samples=25", "global=4", "epochs=3"] + options.split(separator: " ").map(String.init)
        let whole = try ScratchDirectory()
        let reference = try SelfTest.success("train", arguments, in: whole, ranks: ranks)
        for step in steps {
            let scratch = try ScratchDirectory()
            let ended = try SelfTest("train", arguments + ["\(end)=\(step)"], in: scratch, ranks: ranks)
            try #require(ended.run.status == (end == "killAt" ? 137 : 143), "\(ended.run.output)")
            let last = scratch.file("checkpoints/last.h5")
            // Before the first checkpoint there is nothing to go on from.
            guard FileManager.default.fileExists(atPath: last) else { continue }
            let saved = try #require(try Checkpoint.read(from: last).get("run", as: SavedRun.self)).progress
            let resumed = try SelfTest.success("train", arguments + ["resume=\(last)"], in: scratch, ranks: ranks)

            #expect(resumed.values("metric") == reference.values("metric"), "step \(step)")
            #expect(resumed["epochs"] == reference["epochs"] && resumed["steps"] == reference["steps"])
            let found = try contents(scratch), wanted = try contents(whole)
            #expect(found.tensors == wanted.tensors, "step \(step): weights or optimizer")
            #expect(found.values == wanted.values, "step \(step)")
            let rest = try logLines(whole, "version_0").filter { $0.batch > saved.batch || isAfter($0, saved) }
            #expect(try logLines(scratch, "version_1").map(\.text) == rest.map(\.text), "step \(step)")
        }
    }

    /// Lines of the very batch of the checkpoint that were written after it.
    private func isAfter(_ line: Line, _ saved: Progress) -> Bool {
        guard line.batch == saved.batch else { return false }
        if saved.batchInEpoch == 0 { return false }
        if line.name.hasPrefix("val") { return saved.awaitsValidation }
        return line.name == "train_loss_epoch"
    }

    private struct SavedRun: Codable { var progress: Progress }

    private struct Progress: Codable {
        var batch: Int
        var batchInEpoch: Int
        var awaitsValidation: Bool
    }

    private struct Line {
        var batch: Int
        var name: String
        /// The line without its seconds.
        var text: String
    }

    private func logLines(_ scratch: ScratchDirectory, _ version: String) throws -> [Line] {
        let text = try String(contentsOfFile: scratch.file("\(version)/metrics.csv"), encoding: .utf8)
        let lines = text.split(separator: "\n").dropFirst().map { line in
            var fields = line.split(separator: ",").map(String.init)
            fields.remove(at: 4)
            return Line(batch: Int(fields[1]) ?? -1, name: fields[4], text: fields.joined(separator: ","))
        }
        // The test after the training is no part of what is resumed.
        return lines.filter { !$0.name.hasPrefix("test") }
    }

    /// The last checkpoint: every bit of its tensors, and its texts with the directory's name left out.
    private func contents(_ scratch: ScratchDirectory) throws -> (tensors: [String: [UInt64]], values: [String: String])
    {
        let checkpoint = try Checkpoint.read(from: scratch.file("final.h5"))
        return (
            try tensors(scratch.file("final.h5")).mapValues { $0.map(\.bitPattern) },
            checkpoint.values.mapValues { $0.replacing(scratch.path, with: "DIRECTORY") }
        )
    }
}
