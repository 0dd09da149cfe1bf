import Foundation
import Lightning
import TestSupport
import Testing

/// Any number of ranks does what one process does.
@Suite(.serialized) struct EquivalenceTests {
    /// Sizes that divide and sizes that do not; the last batch of 13 samples has one sample, of 25 in batches of 12 too:
    /// most ranks have none.
    @Test(arguments: [
        "samples=24 heldOut=12", "samples=25 heldOut=13", "samples=13 heldOut=1 accumulate=2",
        "samples=13 heldOut=5 halves=yes",
        "samples=40 heldOut=7 accumulate=3 clip=0.1 unused=yes frozen=yes schedule=step prefetch=yes",
        "samples=30 heldOut=14 schedule=plateau validateEvery=1 steps=4",
    ])
    func ranksTimesBatchIsOneRankWithALargerBatch(options: String) throws {
        let scratch = try ScratchDirectory()
        let arguments = options.split(separator: " ").map(String.init) + ["global=12"]
        let one = try SelfTest.success("train", arguments + ["final=1.h5"], in: scratch, ranks: 0)
        let wanted = (try tensors(scratch.file("1.h5")), try tensors(scratch.file("predictions-1.h5")))
        checkSeen(one, arguments)
        for ranks in 1...4 {
            let many = try SelfTest.success("train", arguments + ["final=\(ranks).h5"], in: scratch, ranks: ranks)
            #expect(many["ranks with rank 0's weights"] == "\(ranks)")
            #expect(many.values("seen") == one.values("seen"))
            for key in ["reductions", "steps", "epochs", "train samples"] { #expect(many[key] == one[key], "\(key)") }
            #expect(many["reductions"] == many["steps"])
            let metrics = (numbers(many.values("metric")), numbers(one.values("metric")))
            let differences = [
                largestDifference(metrics.0, metrics.1),
                largestDifference(try tensors(scratch.file("\(ranks).h5")), wanted.0),
                largestDifference(try tensors(scratch.file("predictions-\(ranks).h5")), wanted.1),
            ]
            print("\(ranks) ranks, \(options): metrics, weights, predictions differ by \(differences)")
            for difference in differences { #expect(difference < 1e-12, "\(ranks) ranks") }
        }
    }

    /// Every sample exactly once in each epoch of each stage, and predictions in the order of the data set.
    private func checkSeen(_ test: SelfTest, _ arguments: [String]) {
        func option(_ key: String) -> Int? {
            arguments.lazy.compactMap { $0.hasPrefix(key + "=") ? Int($0.dropFirst(key.count + 1)) : nil }.first
        }
        guard let samples = option("samples"), let heldOut = option("heldOut") else { return }
        for (stage, numbers) in test.values("seen") where stage != "val" {
            if stage.hasPrefix("train"), option("steps") != nil { continue }  // the last epoch is not whole
            #expect(numbers == "\(Array(0..<(stage.hasPrefix("train") ? samples : heldOut)))", "\(stage)")
        }
        #expect(test["metric test_sum"] == "\(Double(heldOut * (heldOut - 1) / 2))")
        #expect(test["metric test_max"] == "\(Double(heldOut - 1))")
    }

    /// What rank 0 logs at a step is its own share of the batch.
    private func numbers(_ texts: [String: String]) -> [String: [Double]] {
        var numbers: [String: [Double]] = [:]
        for (key, text) in texts where !key.hasSuffix("_step") { numbers[key] = [Double(text) ?? .nan] }
        return numbers
    }

    @Test func predictionsAreInTheOrderOfTheDataSet() throws {
        for ranks in 1...4 {
            let scratch = try ScratchDirectory()
            _ = try SelfTest.success("train", ["global=12", "heldOut=29", "epochs=0"], in: scratch, ranks: ranks)
            let rows = try #require(try tensors(scratch.file("predictions-final.h5"))["predictions"])
            #expect(stride(from: 0, to: rows.count, by: 3).map { rows[$0] } == (0..<29).map(Double.init))
        }
    }

    @Test func allRanksStartFromTheWeightsOfRankZero() throws {
        let scratch = try ScratchDirectory()
        let arguments = ["global=12", "epochs=1", "ownWeights=yes"]
        _ = try SelfTest.success("train", arguments + ["final=1.h5"], in: scratch, ranks: 1)
        let many = try SelfTest.success("train", arguments + ["final=3.h5"], in: scratch, ranks: 3)
        #expect(many["ranks with rank 0's weights"] == "3")
        #expect(try largestDifference(tensors(scratch.file("3.h5")), tensors(scratch.file("1.h5"))) < 1e-12)
    }

    @Test(arguments: [2, 3, 4]) func bucketsSumAsTheNaiveReducerDoes(ranks: Int) throws {
        let test = try SelfTest.success("reducer", in: try ScratchDirectory(), ranks: ranks)
        // In shared memory or not, 2 types, 4 bucket sizes, 3 steps, 7 parameters of (5 + 13 i) · 3 elements. Number 2 is frozen always, number
        // 3 in one step; what is frozen does not travel. Each parameter lies at a multiple of 64 bytes.
        let counts = (0..<7).map { (5 + 13 * $0) * 3 }
        let steps = (0..<7).map { $0 == 2 ? 0 : $0 == 3 ? 2 : 3 }
        let compared = zip(counts, steps).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(test["compared"] == "\(2 * 2 * 4 * compared)")
        let bytes = [4, 8].map { size in zip(counts, steps).reduce(0) { $0 + ($1.0 * size + 63) / 64 * 64 * $1.1 } }
        #expect(test["bytes"] == "\(2 * 4 * (bytes[0] + bytes[1]))")
        // Of five windows allocated and dropped one after another, one is left that waits for the next allocation.
        #expect(test["windows left"] == "1")
    }

    /// Evaluation needs rank 0's weights and no memory for gradients.
    @Test func evaluationStartsFromTheWeightsOfRankZeroWithoutGradients() throws {
        for ranks in 1...3 {
            let test = try SelfTest.success("inference", in: try ScratchDirectory(), ranks: ranks)
            #expect(test["ranks with rank 0's weights"] == "\(ranks)")
            #expect(test["gradients"] == "0")
            #expect(test["bytes"] == Array(repeating: "0", count: ranks).joined(separator: " "))
        }
    }
}
