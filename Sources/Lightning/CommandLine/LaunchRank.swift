import Foundation

/// This process's rank as launchers say it, for messages of processes that have not asked MPI, or cannot.
package enum LaunchRank {
    /// The variables of Open MPI, MVAPICH2, PMI launchers such as MPICH's, and Slurm; the MPI's own come first.
    package static let variables = [
        "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID",
    ]

    /// The rank in a set of environment variables; 0 without a launcher.
    package static func rank(in environment: [String: String]) -> Int {
        variables.lazy.compactMap { environment[$0].flatMap(Int.init) }.first ?? 0
    }

    /// The rank of this process.
    package static var current: Int { rank(in: ProcessInfo.processInfo.environment) }
}
