import MPI
import Testing

@Suite struct ValueTests {
    @Test func layoutWithoutGaps() {
        let layout = RankLayout(counts: [3, 0, 5])
        #expect(layout.offsets == [0, 3, 3])
        #expect(layout.total == 8)
        #expect(layout.extent == 8)
    }

    @Test func layoutWithGaps() {
        let layout = RankLayout(counts: [3, 1], offsets: [8, 0])
        #expect(layout.total == 4)
        #expect(layout.extent == 11)
    }

    @Test func layoutBeyond32Bits() {
        let layout = RankLayout(counts: [Int(Int32.max), Int(Int32.max), 10])
        #expect(layout.offsets[2] == 2 * Int(Int32.max))
    }

    @Test func errorSaysEverything() {
        let error = MPIError(routine: "MPI_Bcast", code: 6, message: "invalid root", context: "rank 1 of 2, root 9")
        #expect(error.description == "MPI_Bcast: invalid root (code 6) [rank 1 of 2, root 9]")
        #expect(MPIError(routine: "f", code: nil, message: "m", context: "").description == "f: m")
    }

    @Test func singleTopology() {
        let topology = Topology.single
        #expect(topology.worldSize == 1 && topology.globalRank == 0 && topology.nodeCount == 1)
        #expect(!topology.hostname.isEmpty)
    }

    @Test func mpiIsNotInitialisedByAsking() {
        _ = MPIEnvironment.launch
        #expect(!MPIEnvironment.isActive)
        #expect(!MPIEnvironment.library.isEmpty)
    }
}
