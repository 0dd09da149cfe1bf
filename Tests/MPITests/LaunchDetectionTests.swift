import MPI
import Testing

@Suite struct LaunchDetectionTests {
    @Test func nothingSetIsSingle() {
        #expect(LaunchDetection.detect(in: ["PATH": "/bin"]) == .single)
        #expect(LaunchDetection.single.ranks == 1)
        #expect(!LaunchDetection.single.isLaunched)
    }

    @Test(arguments: ["OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE"])
    func launcherSaysTheSize(variable: String) {
        let found = LaunchDetection.detect(in: [variable: "4"])
        #expect(found.isLaunched)
        #expect(found.ranks == 4)
    }

    @Test func mpirunInsideSlurmSpeaksFirst() {
        let found = LaunchDetection.detect(in: [
            "SLURM_STEP_NUM_TASKS": "1", "PMIX_RANK": "0", "OMPI_COMM_WORLD_SIZE": "8",
        ])
        #expect(found.ranks == 8)
    }

    @Test func slurmStep() {
        #expect(LaunchDetection.detect(in: ["SLURM_STEP_NUM_TASKS": "3"]).ranks == 3)
        #expect(LaunchDetection.detect(in: ["SLURM_STEP_NUM_TASKS": "1"]) == .single)
        #expect(LaunchDetection.detect(in: ["SLURM_STEP_NUM_TASKS": "1", "PMIX_RANK": "0"]).ranks == 1)
    }

    @Test func launcherWithoutSize() {
        let found = LaunchDetection.detect(in: ["PMIX_RANK": "2"])
        #expect(found.isLaunched)
        #expect(found.ranks == nil)
    }

    @Test func nonsenseIsIgnored() {
        #expect(LaunchDetection.detect(in: ["OMPI_COMM_WORLD_SIZE": "many", "PMI_SIZE": "0"]) == .single)
    }
}
