import DataParallel
import MPI
import Testing

@Suite struct WordsTests {
    @Test func mismatchNamesTheFewFirst() {
        let words = [0: "barrier 'x'", 1: "allGather 'my tag' of 3 float32", 2: "barrier 'x'"]
        let error = CollectiveMismatch(
            requests: (0..<3).map {
                .init(rank: $0, hostname: "abc".map(String.init)[$0], sequence: 7, words: words[$0] ?? "")
            })
        #expect(
            error.description
                == "ranks disagree: rank 1 (host b) asked for allGather 'my tag' of 3 float32 while ranks 0, 2 asked for barrier 'x'"
        )
    }

    @Test func mismatchOfSequenceSaysSo() {
        let error = CollectiveMismatch(
            requests: (0..<2).map { .init(rank: $0, hostname: "a", sequence: 7 + $0, words: "barrier 'x'") })
        #expect(error.description.contains("barrier 'x' as collective 7"))
        #expect(error.description.contains("barrier 'x' as collective 8"))
    }

    @Test func mismatchOfManyIsShort() {
        let error = CollectiveMismatch(
            requests: (0..<100).map { .init(rank: $0, hostname: "a", sequence: 1, words: $0 == 50 ? "b" : "c") })
        #expect(error.description.contains("ranks 0, 1, 2, 3, 4, 5, 6, 7 and 91 more asked for c"))
    }

    @Test func phaseInWords() {
        #expect(TrainingPhase("training", epoch: 3, batch: 17).description == "training epoch 3 batch 17")
        #expect(TrainingPhase("prepareData", isWatched: false).description == "prepareData")
    }

    @Test func requestInWords() {
        #expect(CollectiveRequest(.barrier, "x").description == "barrier 'x'")
        #expect(
            CollectiveRequest(.allReduce, "loss", count: 3, of: .float64).description == "allReduce 'loss' of 3 float64"
        )
    }

    @Test func failureNamesRankPhaseAndCause() {
        struct Cause: Error, CustomStringConvertible { let description = "the error" }
        let topology = Topology(
            globalRank: 2, localRank: 0, nodeRank: 1, worldSize: 3, localSize: 1, nodeCount: 2, hostname: "node7")
        let phase = TrainingPhase("training", epoch: 3, batch: 17)
        #expect(
            JobFailure.message(for: Cause(), phase: phase, topology: topology)
                == "[rank 2/3 node7] training epoch 3 batch 17: the error")
    }
}
