import MPI

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The end of a job that went wrong.
///
/// Note [Failing]: a rank that leaves on an error must not let the others wait for it: `MPI_Finalize` would wait for
/// them while they wait in a collective, for ever. So the error is printed, then `MPI_Abort` ends all ranks. An error
/// that every rank has, such as a `CollectiveMismatch`, is printed by rank 0 alone; the others give it a moment
/// and speak only if rank 0 has not ended the job by then.
public enum JobFailure {
    /// Prints rank, node, phase and error on one line of standard error and ends every rank with `status`.
    ///
    /// - Parameters:
    ///   - error: the cause.
    ///   - topology: `nil` when the failure came before the ranks knew each other.
    ///   - status: the exit status of the job, not 0.
    public static func end(_ error: any Error, topology: Topology?, status: Int32 = 1) -> Never {
        if let topology, topology.globalRank != 0, error is CollectiveMismatch { sleep(2) }
        Watchdog.printLine(message(for: error, phase: Watchdog.phase, topology: topology))
        MPIEnvironment.abort(code: status)
    }

    /// The line `end` prints, for example `[rank 2/3 node7] training epoch 3 batch 17: the error`.
    public static func message(for error: any Error, phase: TrainingPhase, topology: Topology?) -> String {
        let place = topology.map { "[rank \($0.globalRank)/\($0.worldSize) \($0.hostname)] " } ?? ""
        return "\(place)\(phase): \(error)"
    }
}
