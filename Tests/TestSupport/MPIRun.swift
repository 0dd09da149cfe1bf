import Foundation

/// A finished run of a built program under `mpirun`.
public struct MPIRun: Sendable {
    /// The exit status of `mpirun`, or 128 + the signal that ended it.
    public let status: Int32
    /// Standard output and standard error together.
    public let output: String
    /// Whether the time limit ended the run.
    public let timedOut: Bool
    /// How long the run took, in seconds.
    public let seconds: Double

    /// Why a program could not be run.
    public struct Missing: Error, CustomStringConvertible {
        /// What is missing and where it was looked for.
        public let description: String
    }

    /// Runs a program of this package on several ranks and waits for its end.
    ///
    /// - Parameters:
    ///   - program: the name of an executable product, found beside the tests.
    ///   - arguments: the program's own.
    ///   - ranks: how many processes; more than there are cores is well. 0 runs the program itself, without `mpirun`.
    ///   - limit: in seconds; the run is killed when it takes longer.
    ///   - environment: variables to set besides the present ones.
    ///   - directory: where to run it; the present directory by default.
    /// - Throws: `Missing` when the program or `mpirun` is not there.
    public init(
        _ program: String, _ arguments: [String] = [], ranks: Int, limit: Double,
        environment: [String: String] = [:], directory: String? = nil
    ) throws {
        let executable = Self.productsDirectory.appendingPathComponent(program)
        guard FileManager.default.isExecutableFile(atPath: executable.path) else {
            throw Missing(description: "\(program) is not in \(Self.productsDirectory.path): build the package first")
        }
        let log = FileManager.default.temporaryDirectory.appendingPathComponent("mpirun-\(UUID().uuidString).log")
        // A file, not a pipe: a pipe that nobody reads stops the writer, and a killed rank may leave one open.
        guard FileManager.default.createFile(atPath: log.path, contents: nil) else {
            throw Missing(description: "cannot write \(log.path)")
        }
        defer { try? FileManager.default.removeItem(at: log) }
        // Of two runs that share Open MPI's folder one may take it away while the other starts.
        let session = FileManager.default.temporaryDirectory
            .appendingPathComponent("mpi-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: session, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: session) }
        let handle = try FileHandle(forWritingTo: log)
        let process = Process()
        process.executableURL = ranks == 0 ? executable : URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            ranks == 0 ? arguments : ["mpirun", "--oversubscribe", "-n", "\(ranks)", executable.path] + arguments
        process.standardOutput = handle
        process.standardError = handle
        process.environment = ProcessInfo.processInfo.environment
            .merging(Self.variables) { present, _ in present }
            .merging(["OMPI_MCA_orte_tmpdir_base": session.path]) { _, own in own }
            .merging(environment) { _, given in given }
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        let start = Date()
        try Self.withAllSignals { try process.run() }
        timedOut = ended.wait(timeout: .now() + limit) == .timedOut
        if timedOut {
            // mpirun passes SIGTERM on to its ranks.
            process.terminate()
            if ended.wait(timeout: .now() + 5) == .timedOut { kill(process.processIdentifier, SIGKILL) }
        }
        process.waitUntilExit()
        seconds = Date().timeIntervalSince(start)
        status = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
        output = String(decoding: try Data(contentsOf: log), as: UTF8.self)
    }

    /// Tests run on threads that block signals, and a process begins with the mask of the thread that starts it.
    public static func withAllSignals(_ body: () throws -> Void) rethrows {
        var none = sigset_t(), before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }

    /// The folder the tests and the programs of this package are built in.
    public static var productsDirectory: URL {
        let own =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: own).deletingLastPathComponent()
    }

    // Open MPI refuses to start as root without the first two, as in most containers; with more ranks than cores a
    // waiting rank must give its core away.
    private static let variables = [
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_mpi_yield_when_idle": "1",
    ]
}
