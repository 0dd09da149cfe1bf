/// How this process was started, read from the environment variables that launchers set.
///
/// MPI is initialised only for a process that a launcher started: initialising MPI in a process of its own
/// ("singleton init") makes Open MPI start a daemon and takes longer than many a small training run.
public enum LaunchDetection: Sendable, Equatable {
    /// Started on its own: one process, no MPI.
    case single

    /// Started by `launcher`, which promises `ranks` ranks (`nil`: the launcher does not say);
    /// `variable` is the environment variable that gave it away.
    case launched(launcher: String, ranks: Int?, variable: String)

    /// Whether a launcher started this process.
    public var isLaunched: Bool { self != .single }

    /// The number of ranks the launcher promises; 1 when not launched, `nil` when the launcher does not say.
    public var ranks: Int? {
        switch self {
        case .single: 1
        case .launched(_, let ranks, _): ranks
        }
    }

    /// Reads a set of environment variables; a pure function of its argument.
    ///
    /// The launcher of an MPI is asked before the batch system: `mpirun` inside a Slurm job sets both, and only
    /// the first speaks about this program. A Slurm step of one task without any MPI variable is how an interactive
    /// shell looks from inside, so it counts as not launched.
    public static func detect(in environment: [String: String]) -> LaunchDetection {
        for (variable, launcher) in sizeVariables {
            if let text = environment[variable], let ranks = Int(text), ranks > 0 {
                return .launched(launcher: launcher, ranks: ranks, variable: variable)
            }
        }
        let slurmTasks = environment["SLURM_STEP_NUM_TASKS"].flatMap { Int($0) }
        if let tasks = slurmTasks, tasks > 1 {
            return .launched(launcher: "srun", ranks: tasks, variable: "SLURM_STEP_NUM_TASKS")
        }
        for variable in ["PMIX_RANK", "PMI_RANK"] where environment[variable] != nil {
            return .launched(launcher: "a PMI launcher", ranks: slurmTasks, variable: variable)
        }
        return .single
    }

    private static let sizeVariables = [
        ("OMPI_COMM_WORLD_SIZE", "Open MPI's mpirun"),
        ("MV2_COMM_WORLD_SIZE", "MVAPICH2's mpirun"),
        ("PMI_SIZE", "an MPICH-like mpiexec"),
    ]
}
