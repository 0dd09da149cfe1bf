import Checkpoints
import Foundation
import TestSupport
import Testing

/// All callbacks, loggers, schedules and metrics that have a state, together: a run that was killed in the middle of an
/// epoch writes the same rest of each log, and ends with the same state, as one that was not.
@Suite(.serialized) struct StatefulResumeTests {
    /// Batches of 6: 7 an epoch, the last with four samples; validations inside epochs too. Windows of two batches in the
    /// first epoch, of three in the second, of one from then on: optimizer steps 0–3, 4–6, 7–13, …
    private static let common = [
        "samples=40", "heldOut=11", "global=6", "epochs=9", "validateEvery=3", "monitor=val_loss", "sanity=2",
    ]

    /// How the run is made, and the optimizer steps before which it is killed.
    private static let cases: [(options: [String], steps: [Int])] = [
        (["kind=ema", "saveEvery=1"], [2, 6, 12, 19]),
        (["kind=swa", "saveEvery=1", "logEvery=2"], [5, 16, 19]),
        // Saved now and then: steps behind the checkpoint are done and logged again.
        (["kind=ema", "saveEvery=4", "logEvery=3", "prefetch=yes"], [10, 19]),
        (["kind=swa", "saveEvery=5", "precision=bf16-mixed"], [13, 19]),
    ]

    @Test(arguments: cases.indices, [0, 2]) func nothingShowsThatARunWasKilled(place: Int, ranks: Int) throws {
        let arguments = Self.common + Self.cases[place].options
        let whole = try ScratchDirectory()
        let reference = try SelfTest.success("stateful", arguments, in: whole, ranks: ranks)
        #expect(
            reference["reason"]?.contains("val_loss") == true, "EarlyStopping ends the run: \(reference.run.output)")
        let wanted = try records(whole, "version_0")
        #expect(wanted.lines.keys.contains("mlflow throughput/samples_per_second") && wanted.lines.count > 20)

        for step in Self.cases[place].steps {
            let scratch = try ScratchDirectory()
            let killed = try SelfTest("stateful", arguments + ["killAt=\(step)"], in: scratch, ranks: ranks)
            try #require(killed.run.status == 137, "\(killed.run.output)")
            // The log as it was when the checkpoint was made, and how it went on until the end.
            let done = try LogRecords(
                run: scratch.file("kept/run"), name: "version_0", store: scratch.file("kept/mlruns"))
            let lost = try records(scratch, "version_0")
            #expect(lost.begins(with: done) && wanted.begins(with: lost), "step \(step)")

            let last = scratch.file("checkpoints/last.h5")
            #expect(try progress(last).batchInEpoch > 0, "step \(step): not in the middle of an epoch")
            let resumed = try SelfTest.success("stateful", arguments + ["resume=\(last)"], in: scratch, ranks: ranks)
            for key in ["steps", "epochs", "reason"] { #expect(resumed[key] == reference[key], "step \(step): \(key)") }
            let (rest, wantedRest) = (try records(scratch, "version_1"), wanted.dropping(done))
            #expect(rest == wantedRest, "step \(step): \(rest.difference(from: wantedRest))")
            let (found, kept) = (try state(scratch), try state(whole))
            #expect(found.tensors == kept.tensors, "step \(step): tensors")
            for key in Set(found.values.keys).union(kept.values.keys) {
                #expect(found.values[key] == kept.values[key], "step \(step): \(key)")
            }
            // The clock goes on from what was spent.
            let spent = try #require(try timer(last)["fit"])
            #expect(try #require(resumed["seconds"].flatMap(Double.init)) >= spent && spent > 0)
        }
    }

    private func records(_ scratch: ScratchDirectory, _ version: String) throws -> LogRecords {
        try LogRecords(run: scratch.file(version), name: version, store: scratch.file("mlruns"))
    }

    private struct SavedRun: Decodable { var progress: Progress }
    private struct Progress: Decodable { var batchInEpoch: Int }

    private func progress(_ path: String) throws -> Progress {
        let text = try #require(try Checkpoint.read(from: path).values["run"])
        return try JSONDecoder().decode(SavedRun.self, from: Data(text.utf8)).progress
    }

    private func timer(_ path: String) throws -> [String: Double] {
        let text = try #require(try Checkpoint.read(from: path).values["callback TrainingTimer"])
        return try JSONDecoder().decode([String: Double].self, from: Data(text.utf8))
    }

    /// Everything in the checkpoint of the end, but times, what a machine took, and the directory's name.
    private func state(_ scratch: ScratchDirectory) throws -> (tensors: [String: [UInt64]], values: [String: String]) {
        let checkpoint = try Checkpoint.read(from: scratch.file("final.h5"))
        var tensors: [String: [UInt64]] = [:]
        let states =
            [("model", checkpoint.model)] + checkpoint.optimizers.map { ("optimizer", $0) }
            + checkpoint.callbacks.map { ($0.key, $0.value) }
        for (name, state) in states {
            for (key, tensor) in state { tensors[name + " " + key] = tensor.doubles.map(\.bitPattern) }
        }
        var values = checkpoint.values.mapValues { $0.replacing(scratch.path, with: "DIRECTORY") }
        values["callback TrainingTimer"] = nil
        // `"throughput/steps_per_second":123.4`, its slash escaped or not.
        values["run"] = values["run"]?.replacing(/"(throughput|device)(\\?\/\w+)":[-+.e\d]+/) { "\"\($0.1)\($0.2)\":*" }
        return (tensors, values)
    }
}
