// The library's multi-rank tests as one program:
//     mpirun -n N mpi-selftest [case …]        runs the cases whose names are given, or all
//     mpirun -n N mpi-selftest --fail KIND     fails on purpose: throw, kill, mismatch, stall
//     mpirun -n N mpi-selftest --large         counts beyond 32 bits for real; takes 5 GiB a rank
//     mpirun -n N mpi-selftest --bench         measures
import DataParallel
import MPI

func runCases(_ names: [String], in all: [Case], _ harness: Harness) throws -> Int {
    let cases = all.filter { names.isEmpty || names.contains($0.name) }
    var (passed, failed) = (0, 0)
    for one in cases {
        Watchdog.phase = TrainingPhase("case '\(one.name)'")
        try one.run(harness)
        let findings = harness.takeFindings()
        for finding in findings.prefix(5) { Watchdog.printLine("[rank \(harness.rank)] \(one.name): \(finding)") }
        if try harness.world.allReduce(Int64(findings.count), .sum) == 0 { passed += 1 } else { failed += 1 }
    }
    // A misspelt name must not look like success.
    if passed + failed == 0 || passed + failed < Set(names).count { failed += 1 }
    if harness.rank == 0 { print("\(passed) passed, \(failed) failed") }
    return failed
}

var harness: Harness?
do {
    let made = try Harness(world: try MPIEnvironment.initialize())
    harness = made
    let arguments = Array(CommandLine.arguments.dropFirst())
    var failed = 0
    if arguments.first == "--fail" {
        guard arguments.count == 2, let failure = InjectedFailure(rawValue: arguments[1]) else {
            fatalError("--fail takes throw, kill, mismatch or stall")
        }
        try failure.run(made)
    } else if arguments.first == "--large" {
        failed = try runCases([], in: largeCases, made)
    } else if arguments.first == "--bench" {
        try measure(made)
    } else {
        failed = try runCases(arguments, in: collectiveCases + parallelCases, made)
    }
    try MPIEnvironment.finalize()
    if failed > 0 { throw SelfTestFailure(count: failed) }
} catch {
    JobFailure.end(error, topology: harness?.topology)
}

/// Some cases failed; every rank knows.
struct SelfTestFailure: Error, CustomStringConvertible {
    let count: Int
    var description: String { "\(count) cases failed" }
}
