import Checkpoints
import Foundation
import Lightning
import MPI
import TestSupport
import Testing

/// A fault of one rank ends the job within ten seconds, with one message.
@Suite(.serialized) struct FaultTests {
    private static let host = Topology.single.hostname
    private static let disagree =
        "[rank 0/3 \(host)] training epoch 1 batch 1: ranks disagree: rank 2 (host \(host)) asked for "
    private static let others = " while ranks 0, 1 asked for optimizerStep 'gradients' of 40 float64"

    private static let step =
        " was asked for during optimizerStep 'gradients' of 40 float64, while gradients travel: "
        + "gather in the step or after the backward pass, not in onBeforeBackward or in it"

    /// Of three parameters the second is frozen: the FNV-1a hash of `101`.
    private static let frozenSet = "101".utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) {
        ($0 ^ UInt64($1)) &* 0x100_0000_01b3
    }

    @Test(arguments: [
        ("gather before backward", "[rank 2/3 \(host)] training epoch 1 batch 0: allGather 'allGather'" + step),
        (
            "exit before backward",
            "[rank 2/3 \(host)] training epoch 1 batch 0: barrier 'the end of the program'" + step
        ),
        (
            "unfreeze",
            "[rank 2/3 \(host)] training epoch 1 batch 0: parameter 'bias' was frozen when the backward pass began and is not any more: unfreeze before the step"
        ),
        (
            "freeze",
            disagree
                + "optimizerStep 'gradients, frozen: 1 (first bias, set \(String(frozenSet, radix: 16)))' of 32 float64"
                + others
        ),
        ("throw", "[rank 2/3 \(host)] training epoch 1 batch 1: thrown in a training step"),
        ("throw in validation", "[rank 2/3 \(host)] validation epoch 1 batch 1: thrown in a validation step"),
        ("gather", disagree + "allGather 'allGather'" + others),
        ("exit", disagree + "barrier 'the end of the program'" + others),
        (
            "metric",
            "[rank 0/3 \(host)] the end of epoch 1: metrics of a training epoch: 'only_here' was logged on ranks [2] but not on ranks [0, 1]; log the same names on every rank"
        ),
        (
            "only metric",
            "[rank 0/3 \(host)] the end of validation epoch 0: metrics of a validation: 'only_here' was logged on ranks [2] but not on ranks [0, 1]; log the same names on every rank"
        ),
        (
            "model",
            "[rank 0/3 \(host)] setup for fit: the ranks have different models: parameter 0 is 'weight float64 [5, 3]' on rank 0 and 'weight float64 [6, 3]' on rank 2. Build the model from the same configuration on every rank"
        ),
        (
            "frozen",
            "[rank 0/3 \(host)] setup for fit: the ranks have different models: parameter 1 is 'bias float64 [5]' on rank 0 and 'bias float64 [5] frozen' on rank 2. Build the model from the same configuration on every rank"
        ),
    ])
    func aFaultOfOneRankEndsTheJob(kind: String, message: String) throws {
        let test = try SelfTest("fault", ["kind=\(kind)", "global=6"], in: try ScratchDirectory(), ranks: 3)
        expectEnd(test, kind)
        let said = test.run.output.split(separator: "\n").filter { $0.contains("[rank ") }.map(String.init)
        #expect(said == [message])
        #expect(test.run.status == 1)
    }

    /// Of 24 samples both ranks have some; of one only rank 0 has any, and the other is far ahead in the step.
    @Test(arguments: [24, 1]) func collectivesBeforeTheBackwardPassEndTheJob(samples: Int) throws {
        let test = try SelfTest(
            "fault", ["kind=gather before backward on all", "global=6", "samples=\(samples)"],
            in: try ScratchDirectory(), ranks: 2)
        expectEnd(test, "gather before backward on all")
        let said = test.run.output.split(separator: "\n").filter { $0.contains("[rank ") }.map(String.init)
        #expect(said == ["[rank 0/2 \(Self.host)] training epoch 1 batch 0: allGather 'allGather'" + Self.step])
    }

    /// The second pass would add to memory that is being summed.
    @Test func twoBackwardPassesOfOneStepEndTheJob() throws {
        let test = try SelfTest("fault", ["kind=two backwards", "global=6"], in: try ScratchDirectory(), ranks: 2)
        expectEnd(test, "two backwards")
        let said = test.run.output.split(separator: "\n").filter { $0.contains("[rank ") }
        let pattern =
            /\[rank 0\/2 .+\] training epoch 1 batch 0: parameter '\w+' got a second gradient in one step, .+ call backward once/
        #expect(said.count == 1 && said.first?.wholeMatch(of: pattern) != nil, "\(test.run.output)")
    }

    /// With and without a thread that reads ahead; the batch named is the one that could not be read.
    @Test(arguments: ["no", "yes"]) func aReadThatFailsEndsTheJob(prefetch: String) throws {
        let arguments = ["kind=read", "prefetch=\(prefetch)", "global=6"]
        let test = try SelfTest("fault", arguments, in: try ScratchDirectory(), ranks: 3)
        expectEnd(test, "read")
        let said = test.run.output.split(separator: "\n").filter { $0.contains("[rank ") }
        let pattern = /\[rank 2\/3 .+\] reading training data epoch [01] batch [0-3]: sample 13 cannot be read/
        #expect(said.count == 1 && said.first?.wholeMatch(of: pattern) != nil, "\(said)")
    }

    @Test func aKilledRankEndsTheJob() throws {
        let test = try SelfTest("fault", ["kind=kill", "global=6"], in: try ScratchDirectory(), ranks: 3)
        expectEnd(test, "kill")
        #expect(test.run.output.contains("signal 9"))
    }

    private func expectEnd(_ test: SelfTest, _ kind: String) {
        print("\(kind): all processes ended after \(test.run.seconds) s, start included")
        // It takes 2 to 3 s on a quiet machine; the limit only tells an end from a hang.
        #expect(!test.run.timedOut, "\(kind) took \(test.run.seconds) s")
        #expect(test.run.status != 0)
        #expect(test["finished"] == nil)
    }

    // MARK: - What is no fault

    /// Preparing data takes as long as it takes; elsewhere a rank that lets the others wait so long ends the job.
    @Test func preparingDataMayOutlastTheWatchdog() throws {
        let long = try SelfTest.success(
            "slow rank", ["kind=prepareData", "epochs=1"], in: try ScratchDirectory(), ranks: 2)
        #expect(long["finished"] == "6" && !long.run.output.contains("waits since"), "\(long.run.output)")
        let stuck = try SelfTest("slow rank", ["kind=setup", "epochs=1"], in: try ScratchDirectory(), ranks: 2)
        #expect(stuck.run.status == 1 && stuck.run.output.contains("; ending the job"), "\(stuck.run.output)")
    }

    @Test func aSignalToOneRankStopsAllAfterTheSameBatch() throws {
        let scratch = try ScratchDirectory()
        let arguments = ["kind=terminate", "global=6", "saveEvery=100"]
        let test = try SelfTest("fault", arguments, in: scratch, ranks: 3)
        #expect(test.run.status == 143, "\(test.run.output)")
        let path = scratch.file("checkpoints/last.h5")
        let said = "interrupted by SIGTERM; continue with --checkpoint \(path)"
        #expect(test.run.output.split(separator: "\n").filter { $0.hasPrefix("interrupted by") } == [said[...]])
        let checkpoint = try Checkpoint.read(from: path)
        let run = try #require(checkpoint.values["run"])
        // Batch 1 of epoch 1 was finished: 4 + 2 steps of 24 + 12 samples.
        #expect(run.contains(#""step":6"#) && run.contains(#""samples":36"#), "\(run)")
        #expect(run.contains(#""batchInEpoch":2"#), "\(run)")
    }

    /// `mpirun` gives the ranks a second to save; its own exit status is 1.
    @Test func aSignalToTheLauncherStopsAllAfterTheSameBatch() throws {
        let scratch = try ScratchDirectory()
        let arguments = ["kind=terminate mpirun", "global=6", "saveEvery=100", "epochs=100"]
        let test = try SelfTest("fault", arguments, in: scratch, ranks: 2)
        #expect(test.run.status != 0)
        #expect(test.run.output.contains("interrupted by SIGTERM; continue with"), "\(test.run.output)")
        #expect(try Checkpoint.read(from: scratch.file("checkpoints/last.h5")).values["run"] != nil)
    }

    /// The batches that the others have begun count; all end the epoch with them.
    @Test func oneRankSkipsTheRestOfTheEpochForAll() throws {
        let test = try SelfTest.success(
            "control", ["kind=skip epoch on one rank", "global=6", "epochs=2"], in: try ScratchDirectory(), ranks: 3)
        #expect(test["steps by rank"] == "4 4 4")
        #expect(test["train samples"] == "20")
    }

    @Test func aSkippedBatchOfOneRankLeavesTheOthersTheirs() throws {
        let scratch = try ScratchDirectory()
        // Two ranks with 3 samples each: rank 1 skips its second batch, so 24 − 3 samples an epoch and all 4 steps.
        let test = try SelfTest.success(
            "control", ["kind=skip on one rank", "global=6", "epochs=1"], in: scratch, ranks: 2)
        #expect(test["train samples"] == "21" && test["steps by rank"] == "4 4")
        let all = try SelfTest.success(
            "control", ["kind=skip on all ranks", "global=6", "epochs=1"], in: scratch, ranks: 2)
        #expect(all["train samples"] == "18" && all["steps by rank"] == "3 3")
        let one = try SelfTest.success(
            "control", ["kind=skip on all ranks", "global=6", "epochs=1", "final=1.h5"], in: scratch, ranks: 0)
        #expect(one["train samples"] == "18")
        #expect(try largestDifference(tensors(scratch.file("final.h5")), tensors(scratch.file("1.h5"))) < 1e-12)
    }

    @Test func aStopOfOneRankStopsAllAfterTheSameStep() throws {
        let test = try SelfTest.success(
            "control", ["kind=stop", "global=6", "epochs=9"], in: try ScratchDirectory(), ranks: 3)
        #expect(test["steps by rank"] == "6 6 6")
        #expect(test["reason"] == "another rank asked to stop")
    }

    /// A value that each rank has for itself is monitored as rank 0 has it, and all ranks keep the same checkpoints.
    @Test func aMetricOfSingleStepsIsMonitoredAlikeOnAllRanks() throws {
        let arguments = ["kind=own metric", "global=6", "epochs=4", "monitor=own"]
        let test = try SelfTest.success("control", arguments, in: try ScratchDirectory(), ranks: 3)
        #expect(test["best by rank"] == "-15.0 -15.0 -15.0")
    }

    @Test func onlyRankZeroPrintsAndWrites() throws {
        let scratch = try ScratchDirectory()
        let test = try SelfTest.success("control", ["kind=print", "global=6", "saveEvery=4"], in: scratch, ranks: 3)
        let printed = test.run.output.split(separator: "\n").filter { $0.hasPrefix("printed") }
        #expect(printed == ["printed in epoch 0", "printed in epoch 1"])
        let files = try FileManager.default.subpathsOfDirectory(atPath: scratch.path).sorted()
        let wanted = [
            "checkpoints", "checkpoints/epoch-001-step-000008.h5", "checkpoints/epoch-000-step-000004.h5",
            "checkpoints/index.json", "checkpoints/last.h5", "final.h5", "version_0", "version_0/hparams.yaml",
            "version_0/metrics.csv",
        ]
        #expect(files == wanted.sorted())
    }
}
