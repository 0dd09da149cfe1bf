import CMPI
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The life of MPI in this process: detect, initialise, finalise or abort.
public enum MPIEnvironment {
    private static let world = Mutex<Communicator?>(nil)

    /// How this process was started, from its environment variables.
    ///
    /// Never touches MPI.
    public static var launch: LaunchDetection {
        var variables: [String: String] = [:]
        for name in [
            "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "PMIX_RANK", "PMI_RANK",
        ] {
            if let value = getenv(name) { variables[name] = String(cString: value) }
        }
        return .detect(in: variables)
    }

    /// Initialises MPI and returns a private duplicate of the world communicator; a second call returns the same one.
    ///
    /// - Throws: `MPIError` when MPI fails, when it cannot serve calls from a thread other than the main one
    ///   (less than `MPI_THREAD_SERIALIZED`), or when the world's size is not what the launcher promised,
    ///   which happens when the program is started by the `mpirun` of another MPI.
    public static func initialize() throws(MPIError) -> Communicator {
        // The result leaves the lock as a value: a typed throw does not survive `withLock`.
        let outcome = world.withLock { (known: inout Communicator?) -> Result<Communicator, MPIError> in
            if let known { return .success(known) }
            let made = Result { () throws(MPIError) in try start() }
            if case .success(let communicator) = made { known = communicator }
            return made
        }
        return try outcome.get()
    }

    private static func start() throws(MPIError) -> Communicator {
        try require(
            !asks(MPI_Finalized), "MPI has ended in this process and cannot begin again", in: "MPI_Init_thread", "")
        shareTheCore()
        var provided: Int32 = 0
        try checked(MPI_Init_thread(nil, nil, cmpi_thread_multiple(), &provided), "MPI_Init_thread", "")
        try require(
            provided >= cmpi_thread_serialized(),
            "this MPI does not let a thread other than the main one communicate (level \(provided)); "
                + "MPI_THREAD_SERIALIZED is needed",
            in: "MPI_Init_thread", library)
        let world = cmpi_comm_world()
        try checked(cmpi_return_errors(world), "MPI_Comm_set_errhandler", "MPI_COMM_WORLD")
        var size: Int32 = 0
        try checked(MPI_Comm_size(world.comm, &size), "MPI_Comm_size", "MPI_COMM_WORLD")
        try checkWorld(size: Int(size), against: launch, library: library)
        var copy = CMPICommunicator()
        try checked(MPI_Comm_dup(world.comm, &copy.comm), "MPI_Comm_dup", "MPI_COMM_WORLD of \(size) ranks")
        return try Communicator(adopting: copy)
    }

    /// Asks Open MPI to give the core away while it waits, unless the user has said otherwise.
    ///
    /// A rank computes on one thread while another waits inside MPI, and `mpirun` binds both to one core: measured, a
    /// waiting Open MPI takes half of the computing thread's time there, and nothing when it yields. Yielding costs an
    /// exchange of a small message 0.2 µs. Other MPIs do not read the variable.
    private static func shareTheCore() { setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0) }

    /// The check behind `initialize()`, apart from MPI so that it can be tested.
    static func checkWorld(size: Int, against launch: LaunchDetection, library: String) throws(MPIError) {
        guard case .launched(let launcher, let ranks?, let variable) = launch, ranks != size else { return }
        throw MPIError(
            routine: "MPIEnvironment.initialize", code: nil,
            message: "\(launcher) promised \(ranks) ranks (\(variable)=\(ranks)) but MPI sees a world of \(size). "
                + "The launcher and the MPI library this program is linked with are different MPIs. "
                + "Start the program with the mpirun of the linked library, or under Slurm with `srun --mpi=pmix`",
            context: "linked with \(library)")
    }

    /// Whether MPI is initialised and not yet finalised.
    public static var isActive: Bool { asks(MPI_Initialized) && !asks(MPI_Finalized) }

    /// The answer of one of the two questions MPI takes at any time; a question that fails counts as no.
    private static func asks(_ question: (UnsafeMutablePointer<Int32>?) -> Int32) -> Bool {
        var answer: Int32 = 0
        return question(&answer) == cmpi_success() && answer != 0
    }

    /// The MPI library's own name and version, on one line.
    public static var library: String {
        let words = text(capacity: cmpi_max_library_version_string()) { MPI_Get_library_version($0, $1) }
        return String(words.prefix { $0 != "," && $0 != "\n" && $0 != "\0" })
    }

    /// Ends MPI after success; call it on the thread that called `initialize()`.
    ///
    /// Does nothing when MPI is not active.
    ///
    /// It waits for all ranks, so never call it on the way out of an error: `abort(code:)` is for that.
    /// - Throws: `MPIError` when MPI fails.
    public static func finalize() throws(MPIError) {
        guard isActive else { return }
        world.withLock { $0 = nil }
        try checked(MPI_Finalize(), "MPI_Finalize", "")
    }

    /// Ends every rank of the job at once with exit status `code`; without an active MPI, ends this process.
    ///
    /// Standard output and error are flushed first, so that the message written before is seen.
    public static func abort(code: Int32) -> Never {
        fflush(nil)
        if isActive { MPI_Abort(cmpi_comm_world().comm, code) }
        exit(code)
    }
}
