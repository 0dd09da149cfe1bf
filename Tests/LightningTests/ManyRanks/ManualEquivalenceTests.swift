import Foundation
import Lightning
import MPI
import TestSupport
import Testing

/// Modules that apply gradients themselves do on any number of ranks what they do on one.
@Suite(.serialized) struct ManualEquivalenceTests {
    /// The last batch has fewer samples than the others, and is shared unevenly.
    @Test(arguments: [
        "samples=24 heldOut=12", "samples=29 heldOut=13 gathered=2", "samples=29 heldOut=5 clipCritic=0.05 toggles=no",
        "samples=28 heldOut=5 gathered=3 clipCritic=0.1 prefetch=yes",
    ])
    func ranksTimesBatchIsOneRankWithALargerBatch(options: String) throws {
        let scratch = try ScratchDirectory()
        let arguments = options.split(separator: " ").map(String.init) + ["global=12"]
        let one = try SelfTest.success("manual", arguments + ["final=0.h5"], in: scratch, ranks: 0)
        let wanted = try tensors(scratch.file("0.h5"))
        for ranks in 1...4 {
            let many = try SelfTest.success("manual", arguments + ["final=\(ranks).h5"], in: scratch, ranks: ranks)
            #expect(many["ranks with rank 0's weights"] == "\(ranks)")
            for key in ["updates", "reductions", "train samples", "rates"] { #expect(many[key] == one[key], "\(key)") }
            let difference = try largestDifference(tensors(scratch.file("\(ranks).h5")), wanted)
            #expect(difference < 1e-12, "\(ranks) ranks")
            for key in ["metric val_loss", "metric generator_loss_epoch"] {
                let values = try [many, one].map { try #require($0[key].flatMap(Double.init)) }
                #expect(abs(values[0] - values[1]) < 1e-12 * abs(values[1]))
            }
        }
        // One sum for each update, however many backward passes it gathers.
        let updates = try #require(one["updates"]).split { !$0.isNumber }.compactMap { Int($0) }
        #expect(one["reductions"] == "\(updates.reduce(0, +))")
    }

    @Test func aStopOfOneRankStopsAllAfterTheSameBatch() throws {
        let test = try SelfTest.success(
            "manual", ["kind=stop", "global=6", "epochs=9"], in: try ScratchDirectory(), ranks: 3)
        #expect(test["updates"] == "[2, 2]")
    }

    /// Ranks that do not apply the same gradients are told so.
    @Test(arguments: [("step on one rank", 0, 1), ("other order", 1, 0)])
    func updatesOfOneRankEndTheJob(kind: String, own: Int, others: Int) throws {
        let test = try SelfTest("manual", ["kind=\(kind)", "global=6"], in: try ScratchDirectory(), ranks: 3)
        #expect(test.run.status == 1 && !test.run.timedOut)
        let said = test.run.output.split(separator: "\n").filter { $0.contains("[rank ") }.map(String.init)
        let host = Topology.single.hostname
        let message =
            "[rank 0/3 \(host)] training epoch 0 batch 1: ranks disagree: rank 2 (host \(host)) asked for optimizerStep 'gradients of optimizer \(own)' of 8 float64 while ranks 0, 1 asked for optimizerStep 'gradients of optimizer \(others)' of 8 float64"
        #expect(said == [message])
    }

    @Test func aBatchWithoutSamplesForARankIsRefused() throws {
        let test = try SelfTest("manual", ["samples=25", "global=12"], in: try ScratchDirectory(), ranks: 2)
        #expect(test.run.status == 1)
        let message =
            "the last batch has 1 samples for 2 ranks, and a module that applies gradients itself needs one on each; give the training loader dropsLast: true, or batches of another size"
        #expect(test.run.output.contains(message), "\(test.run.output)")
    }
}
