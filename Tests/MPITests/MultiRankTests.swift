import MPI
import TestSupport
import Testing

/// Runs the multi-rank cases of `mpi-selftest` as jobs of their own.
@Suite(.serialized) struct MultiRankTests {
    @Test(arguments: [1, 2, 3, 4]) func selfTestPasses(ranks: Int) throws {
        let run = try MPIRun("mpi-selftest", ranks: ranks, limit: 300)
        #expect(!run.timedOut)
        #expect(run.status == 0, "\(run.output)")
        #expect(run.output.contains(" passed, 0 failed"), "\(run.output)")
    }

    @Test func misspeltCaseFails() throws {
        let run = try MPIRun("mpi-selftest", ["no such case"], ranks: 2, limit: 30)
        #expect(run.status != 0)
    }

    @Test(arguments: [
        ("throw", "[rank 2/3 HOST] training epoch 3 batch 17: thrown on purpose"),
        ("kill", "signal 9"),
        (
            "mismatch",
            "rank 2 (host HOST) asked for barrier 'x' while ranks 0, 1 asked for allGather 'my tag' of 3 float32"
        ),
        ("stall", "in allGather 'my tag' of 3 float32 (phase: training epoch 3 batch 17); ending the job"),
    ])
    func injectedFailureEndsTheJob(kind: String, message: String) throws {
        let run = try MPIRun("mpi-selftest", ["--fail", kind], ranks: 3, limit: 90)
        #expect(!run.timedOut, "\(kind) took \(run.seconds) s")
        #expect(run.status != 0)
        #expect(run.output.contains(message.replacing("HOST", with: hostname)), "\(run.output)")
    }

    @Test func anotherLauncherIsNoticed() throws {
        let run = try MPIRun(
            "mpi-selftest", ["barrier"], ranks: 0, limit: 30, environment: ["OMPI_COMM_WORLD_SIZE": "4"])
        #expect(run.status != 0)
        #expect(
            run.output.contains("promised 4 ranks (OMPI_COMM_WORLD_SIZE=4) but MPI sees a world of 1"), "\(run.output)")
    }

    private var hostname: String { Topology.single.hostname }
}
