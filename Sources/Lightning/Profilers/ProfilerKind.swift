/// What a trainer finds out about where the time of its runs goes.
public enum ProfilerKind: String, Sendable, Codable, CaseIterable {
    /// How often and how long each part ran, as a table at the end of a run.
    ///
    /// Rank 0 prints it and leaves it in the run directory, as `profile-fit.txt` for people and `profile-fit.json` for
    /// programs, and likewise for the other stages.
    case simple
    /// When each part began and ended, as a file for each rank that ui.perfetto.dev and chrome://tracing show:
    /// `trace-fit-rank0.json` in the run directory.
    case trace
}
