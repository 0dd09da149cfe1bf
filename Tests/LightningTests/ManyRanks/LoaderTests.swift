import Foundation
import Lightning
import TestSupport
import Testing

/// However samples reach a run, any number of ranks does what one process does.
@Suite(.serialized) struct LoaderTests {
    /// 29 samples make streams and orders of the ranks' own end unevenly; combined loaders need a sample for each rank.
    @Test(arguments: [
        "loading=sampler samples=29", "loading=own heldOutLoading=own distributed=no samples=29",
        "loading=batches samples=29",
        "loading=stream samples=29", "loading=stream samples=29 prefetch=yes accumulate=2 validateEvery=2",
        "loading=cycle samples=36", "loading=cycle samples=36 prefetch=yes accumulate=2", "loading=shortest samples=74",
        "loading=longest samples=36", "loading=sequence samples=36",
        "heldOut=31 heldOutLoading=sequence samples=24",
    ])
    func ranksDoWhatOneProcessDoes(options: String) throws {
        let scratch = try ScratchDirectory()
        let arguments = options.split(separator: " ").map(String.init) + ["global=12"]
        let one = try SelfTest.success("train", arguments + ["final=1.h5"], in: scratch, ranks: 0)
        let wanted = (try tensors(scratch.file("1.h5")), try tensors(scratch.file("predictions-1.h5")))
        for ranks in [2, 3] {
            let many = try SelfTest.success("train", arguments + ["final=\(ranks).h5"], in: scratch, ranks: ranks)
            #expect(many["ranks with rank 0's weights"] == "\(ranks)")
            #expect(many.values("seen") == one.values("seen"))
            for key in ["steps", "epochs", "train samples"] { #expect(many[key] == one[key], "\(key)") }
            #expect(many["reductions"] == many["steps"])
            #expect(many.values("metric").keys.sorted() == one.values("metric").keys.sorted())
            for (key, text) in one.values("metric") where !key.hasSuffix("_step") && !key.contains("_step/") {
                let values = (Double(text) ?? .nan, many.values("metric")[key].flatMap(Double.init) ?? .nan)
                #expect(abs(values.0 - values.1) <= 1e-12 * abs(values.0), "\(key): \(values)")
            }
            #expect(try largestDifference(tensors(scratch.file("\(ranks).h5")), wanted.0) < 1e-12, "\(ranks) ranks")
            #expect(
                try largestDifference(tensors(scratch.file("predictions-\(ranks).h5")), wanted.1) < 1e-12,
                "\(ranks) ranks")
        }
    }

    /// What the ways of loading have to show: which samples an epoch has.
    @Test(arguments: ["sampler", "own", "batches", "stream", "cycle", "shortest", "longest", "sequence"])
    func samplesOfAnEpoch(loading: String) throws {
        let arguments =
            [
                "loading=\(loading)", "samples=36", "global=12", "epochs=2",
            ] + (loading == "own" ? ["heldOutLoading=own", "distributed=no"] : [])
        let test = try SelfTest.success("train", arguments, in: try ScratchDirectory(), ranks: 2)
        let all = Array(0..<36), few = Array(0..<12)
        let beside = few.map { $0 + 1000 }
        for epoch in 0..<2 {
            let seen = test["seen train \(epoch)"]
            switch loading {
            case "batches": #expect(seen == "\(Array(all[epoch...]))")
            case "cycle": #expect(seen == "\(all + beside.flatMap { [$0, $0, $0] })")
            case "longest": #expect(seen == "\(all + beside)")
            case "sequence": #expect(seen == "\((all + few).sorted())")
            case "shortest":
                let numbers = (seen ?? "").split { !$0.isNumber }.compactMap { Int($0) }
                #expect(numbers.count == 24 && Array(numbers.suffix(12)) == beside)
                #expect(Set(numbers.prefix(12)).isSubset(of: Set(all)) && Set(numbers).count == 24)
            default: #expect(seen == "\(all)")
            }
        }
    }

    /// Without sharing, each rank must have samples of its own, and says so for itself.
    @Test func withoutSharing() throws {
        let scratch = try ScratchDirectory()
        let plain = try SelfTest("train", ["distributed=no"], in: scratch, ranks: 2)
        #expect(plain.run.status != 0 && !plain.run.timedOut)
        #expect(
            plain.run.output.contains(
                "trainer.useDistributedSampler is off, and a loader has no sampler of its own: each of the 2 ranks would read all 24 samples."
            ), "\(plain.run.output)")
        let overlapping = try SelfTest("train", ["distributed=no", "loading=overlapping"], in: scratch, ranks: 2)
        #expect(overlapping.run.status != 0 && !overlapping.run.timedOut)
        #expect(
            overlapping.run.output.contains(
                "trainer.useDistributedSampler is off, and sample 0 is read by the ranks 0 and 1: a sampler must give each rank samples of its own"
            ), "\(overlapping.run.output)")
        // One rank may do as it likes.
        _ = try SelfTest.success("train", ["distributed=no"], in: scratch, ranks: 1)
    }

    /// A part with a batch that is too short for the ranks would leave out samples of the other.
    @Test func combinedLoadersNeedASampleForEachRank() throws {
        let test = try SelfTest(
            "train", ["loading=cycle", "samples=39", "global=12"], in: try ScratchDirectory(), ranks: 2)
        #expect(test.run.status != 0 && !test.run.timedOut)
        #expect(
            test.run.output.contains(
                "batch 1 of loader 1 of those combined has 1 samples for 2 ranks, and each needs one; give that loader dropsLast: true, or batches of another size"
            ), "\(test.run.output)")
    }
}
