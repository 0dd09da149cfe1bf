import Foundation
import TestSupport
import Testing

/// What the profilers say of many ranks.
@Suite(.serialized) struct ProfileTests {
    @Test(arguments: [2, 3]) func theTableIsOverAllRanks(ranks: Int) throws {
        let scratch = try ScratchDirectory()
        let test = try SelfTest.success(
            "train", ["profiler=simple", "saveEvery=2", "global=6"], in: scratch, ranks: ranks)
        let profile = try Profile(scratch.file("version_0/profile-fit.json"))
        #expect(profile.ranks == ranks)
        for row in profile.rows.values {
            let rounding = 1e-12 * row.most
            #expect(0 <= row.least && row.least <= row.mean + rounding && row.mean <= row.most + rounding, "\(row)")
            #expect(row.least <= row.seconds && row.seconds <= row.most, "\(row)")
        }
        let steps = try #require(test["steps"].flatMap { Int($0) })
        #expect(profile.rows["optimizerStep"]?.calls == steps && profile.rows["finishGradients"]?.calls == steps)
        let saved = try #require(profile.rows["saveCheckpoint"]).calls
        #expect(saved >= steps / 2 && profile.rows["[Collective]barrier 'checkpoint written'"]?.calls == saved)
        #expect(profile.rows["[Callback]ModelCheckpoint.onMetricsReady"] != nil)
        // Gradients are summed once a step, and whoever sums them waits for the others.
        let sums = profile.rows.filter { $0.key.hasPrefix("[Collective]optimizerStep") }
        #expect(sums.values.reduce(0) { $0 + $1.calls } == steps, "\(profile.rows.keys.sorted())")
        #expect(try #require(profile.rows["waitForCollectives"]).calls > steps)
        #expect(try #require(profile.rows["waitAtNodeBarrier"]).calls > steps)
        let text = try String(contentsOfFile: scratch.file("version_0/profile-fit.txt"), encoding: .utf8)
        #expect(text.contains("least, mean and most those of \(ranks) ranks"))
        #expect(test.run.output.contains(text), "rank 0 prints it")
        #expect(test.run.output.components(separatedBy: "Profile of fit").count == 2, "nobody else does")
    }

    @Test func eachRankHasItsTrace() throws {
        let scratch = try ScratchDirectory()
        _ = try SelfTest.success("train", ["profiler=trace"], in: scratch, ranks: 2)
        for rank in 0..<2 {
            let trace = try Trace(scratch.file("version_0/trace-fit-rank\(rank).json"))
            #expect(trace.processes.keys.sorted() == [rank])
            #expect(trace.processes[rank]?.hasPrefix("rank \(rank) on ") == true)
            #expect(trace.events.allSatisfy { $0.process == rank })
            #expect(trace.count("optimizerStep") == 12)
            #expect(trace.threads[0] == "training")
            // Whoever does the work of the lane, it is in the trace: the lane's own thread has its own line.
            let threads = Set(trace.events.filter { $0.name.hasPrefix("[Collective]") }.map(\.thread))
            #expect(!threads.isEmpty && threads.subtracting([0]).allSatisfy { trace.threads[$0] == "communication" })
        }
    }

    /// A rank that is killed leaves what it had, and the others' files are whole.
    @Test func tracesAreWholeAfterAKill() throws {
        let scratch = try ScratchDirectory()
        let test = try SelfTest("train", ["profiler=trace", "samples=4000", "killAt=700"], in: scratch, ranks: 2)
        #expect(test.run.status != 0)
        for rank in 0..<2 {
            let trace = try Trace(scratch.file("version_0/trace-fit-rank\(rank).json"))
            let steps = trace.count("optimizerStep")
            #expect(steps > 0 && steps <= 700, "rank \(rank): \(steps)")
        }
    }
}
