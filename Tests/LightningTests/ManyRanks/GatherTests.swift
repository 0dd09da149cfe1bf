import Foundation
import Lightning
import TestSupport
import Testing

/// What modules gather from all ranks.
@Suite(.serialized) struct GatherTests {
    @Test func gatheringGivesTheSameKindOfResultOnAnyNumberOfRanks() throws {
        for ranks in 0...3 {
            let test = try SelfTest.success("gather", ["perRank=2"], in: try ScratchDirectory(), ranks: ranks)
            let all = Array(0..<max(ranks, 1))
            let rows: [Double] = all.flatMap { [Double($0), 10] }
            #expect(test["equal"] == "\(Shape([all.count, 2])) \(rows)")
            let parts = all.map { rank in "int64 \(Shape([rank + 1])) \((0...rank).map(Double.init))" }
            #expect(test["unequal"] == parts.joined(separator: ", "))
            let (column, one, numbers) = (Shape([all.count, 1]), Shape([1]), all.map(Double.init))
            #expect(test["nested"] == "a\(column)\(numbers),b\(column)\(numbers.map { $0 + 1 })nil,c")
            let byRank = numbers.map { "a\(one)\([$0]),b\(one)\([$0 + 1])nil,c" }
            #expect(test["nested by rank"] == byRank.joined(separator: " "))
        }
        let wrong = try SelfTest("gather", ["kind=unequal", "perRank=2"], in: try ScratchDirectory(), ranks: 2)
        #expect(wrong.run.status == 1)
        let message = "allGather: rank 0 gave shape \(Shape([1])) and rank 1 gave \(Shape([2])); use allGatherUnequal"
        #expect(wrong.run.output.contains(message), "\(wrong.run.output)")
    }

    /// A loss over the samples of all ranks has the gradients that one rank with all samples finds.
    @Test(arguments: ["accumulate=1", "accumulate=2"]) func gradientsFlowThroughAGather(option: String) throws {
        let scratch = try ScratchDirectory()
        let arguments = ["global=12", "samples=36", option]
        let one = try SelfTest.success("comparing", arguments + ["final=0.h5"], in: scratch, ranks: 0)
        let wanted = try tensors(scratch.file("0.h5"))
        for ranks in 1...4 {
            let many = try SelfTest.success("comparing", arguments + ["final=\(ranks).h5"], in: scratch, ranks: ranks)
            #expect(many["reductions"] == one["reductions"])
            #expect(try largestDifference(tensors(scratch.file("\(ranks).h5")), wanted) < 1e-12, "\(ranks) ranks")
        }
    }

    /// A module knows its trainer weakly; the world it is in does not go with the trainer.
    @Test func aModuleWithoutATrainerKnowsItsWorld() throws {
        for ranks in [0, 1, 3] {
            let scratch = try ScratchDirectory()
            let test = try SelfTest.success("without trainer", ["perRank=2"], in: scratch, ranks: ranks)
            let all = (0..<max(ranks, 1)).map(Double.init)
            #expect(test["place"] == "0/\(all.count) 0 0")
            #expect(test["gathered"] == "\(all)" && test["mean"] == "\(all.reduce(0, +) / Double(all.count))")
            #expect(test.run.output.split(separator: "\n").count { $0.hasPrefix("place:") } == 1, "rank 0 alone prints")
        }
        let wrong = try SelfTest(
            "without trainer", ["perRank=2", "kind=gradients"], in: try ScratchDirectory(), ranks: 2)
        let message =
            "error: allGather: with syncGradients the ranks do the backward pass together, which a trainer sees to; ToyModule has none (any more)"
        #expect(wrong.run.status == 1 && wrong.run.output.contains(message), "\(wrong.run.output)")
    }
}
