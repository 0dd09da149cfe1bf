import Checkpoints
import Foundation
import Lightning
import TestSupport
import Testing

/// Signals sent to a run that `launch/train` or a shell started.
@Suite(.serialized) struct SignalTests {
    /// A script that runs `trainer-selftest` and is sent signals.
    private final class Script {
        private let process = Process()
        private let log: String
        private let ended = DispatchSemaphore(value: 0)

        /// Starts a script for bash; `$@` are the program and its arguments.
        init(_ script: String, _ arguments: [String], in scratch: ScratchDirectory) throws {
            log = scratch.file("log")
            try Data().write(to: URL(fileURLWithPath: log))
            let program = MPIRun.productsDirectory.appendingPathComponent("trainer-selftest").path
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["bash", "-c", script, "train", program] + arguments
            process.currentDirectoryURL = URL(fileURLWithPath: repository)
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
            process.standardOutput = handle
            process.standardError = handle
            let ended = ended
            process.terminationHandler = { _ in ended.signal() }
            try MPIRun.withAllSignals { try process.run() }
        }

        deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

        var output: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

        /// Waits until so many ranks are in their long step, and tells their process numbers.
        func ranks(_ count: Int) throws -> [Int32] {
            for _ in 0..<1500 {
                let numbers = output.split(separator: "\n").compactMap {
                    $0.hasPrefix("pid ") ? Int32($0.dropFirst(4)) : nil
                }
                if numbers.count == count { return numbers }
                usleep(20_000)
            }
            throw TrainingError("the ranks did not come to their long step: \(output)")
        }

        func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

        /// The exit status, once it has ended.
        func wait() throws -> Int32 {
            guard ended.wait(timeout: .now() + 30) == .success else {
                throw TrainingError("the script does not end: \(output)")
            }
            return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
        }
    }

    private static let launch = "set -euo pipefail; source launch/functions.bash; run_ranks 2 '' \"$@\""

    private func arguments(_ kind: String, _ scratch: ScratchDirectory) -> [String] {
        ["control", scratch.path, "kind=\(kind)", "global=6", "saveEvery=100", "epochs=50"]
    }

    private func expectGone(_ processes: [Int32], _ output: String) {
        for process in processes {
            // Of a process that has ended only its status may be left, for a parent that does not ask for it.
            let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
            #expect(status?.contains("State:\tZ") != false, "process \(process) is left behind: \(output)")
        }
    }

    /// The step takes two seconds; `mpirun` would end its ranks after one.
    @Test(arguments: [(SIGINT, 130), (SIGTERM, 143), (SIGUSR1, 138), (SIGHUP, 129)] as [(Int32, Int32)])
    func theFirstSignalLetsALongStepEndAndSaves(signal: Int32, status: Int32) throws {
        let scratch = try ScratchDirectory()
        let script = try Script(Self.launch, arguments("slow", scratch), in: scratch)
        let ranks = try script.ranks(2)
        script.send(signal)
        #expect(try script.wait() == status, "\(script.output)")
        let path = scratch.file("checkpoints/last.h5")
        #expect(script.output.contains("interrupted by SIGUSR1; continue with --checkpoint \(path)\n"))
        let run = try #require(try Checkpoint.read(from: path).values["run"])
        #expect(run.contains(#""step":2"#), "\(run)")
        expectGone(ranks, script.output)
    }

    @Test func aSecondSignalEndsTheRanksAtOnce() throws {
        let scratch = try ScratchDirectory()
        let script = try Script(Self.launch, arguments("very slow", scratch), in: scratch)
        let ranks = try script.ranks(2)
        let start = Date()
        script.send(SIGINT)
        usleep(500_000)
        #expect(ranks.allSatisfy { kill($0, 0) == 0 }, "the first signal ended a rank: \(script.output)")
        script.send(SIGINT)
        #expect(try script.wait() == 130, "\(script.output)")
        #expect(Date().timeIntervalSince(start) < 10)
        expectGone(ranks, script.output)
    }

    private static func restarting(_ count: Int, ranks: Int = 2) -> String {
        "set -euo pipefail; source launch/functions.bash; restarts=\(count) first=() later=(resume=last); "
            + "run_ranks \(ranks) '' \"$@\""
    }

    private func count(_ text: String, in script: Script) -> Int {
        script.output.components(separatedBy: text).count - 1
    }

    /// A rank is killed in the middle of an epoch: the job goes on where its checkpoint was made, to the same bits.
    @Test(arguments: [1, 2]) func aKilledJobIsStartedAgain(ranks: Int) throws {
        let options = ["global=6", "epochs=3", "saveEvery=1", "saveIn=run"]
        let whole = try ScratchDirectory(), scratch = try ScratchDirectory()
        let launch = Self.restarting(2, ranks: ranks)
        #expect(try Script(launch, ["train", whole.path] + options, in: whole).wait() == 0)
        let killed = try Script(launch, ["train", scratch.path, "killOnceAt=6"] + options, in: scratch)
        #expect(try killed.wait() == 0, "\(killed.output)")
        let said = "launch/train: the job died with status 137; going on from its newest checkpoint, with "
        #expect(count(said, in: killed) == 1 && count(said + "1 more restarts at most\n", in: killed) == 1)
        #expect(try tensors(scratch.file("final.h5")) == tensors(whole.file("final.h5")))

        // One that dies each time is not started for ever.
        let other = try ScratchDirectory()
        let hopeless = try Script(launch, ["train", other.path, "killAt=6"] + options, in: other)
        #expect(try hopeless.wait() == 137 && count(said, in: hopeless) == 2, "\(hopeless.output)")
    }

    @Test func whatWouldHappenAgainIsNotStartedAgain() throws {
        let scratch = try ScratchDirectory()
        for ranks in [1, 2] {
            let wrong = try Script(Self.restarting(3, ranks: ranks), ["no scenario", scratch.path], in: scratch)
            #expect(try wrong.wait() == 1 && wrong.output.contains("there is no scenario"), "\(wrong.output)")
            #expect(count("the job died", in: wrong) == 0)
        }
        let stopped = try Script(Self.restarting(3), arguments("slow", scratch), in: scratch)
        _ = try stopped.ranks(2)
        stopped.send(SIGTERM)
        #expect(try stopped.wait() == 143 && count("the job died", in: stopped) == 0, "\(stopped.output)")
        // Reported errors, traps, and ends that were asked for; then those of ranks that were killed or crashed.
        let statuses = "0 1 2 64 130 132 133 138 143 129 134 135 136 137 139"
        let judge = try Script(
            "source launch/functions.bash; for s in \(statuses); do ! has_died $s || echo $s; done", [], in: scratch)
        #expect(try judge.wait() == 0 && judge.output == "129\n134\n135\n136\n137\n139\n")
    }

    @Test func withoutASignalTheStatusIsTheProgramsOwn() throws {
        let scratch = try ScratchDirectory()
        #expect(try Script(Self.launch, ["gather", scratch.path, "epochs=1"], in: scratch).wait() == 0)
        let wrong = try Script(Self.launch, ["no scenario", scratch.path], in: scratch)
        #expect(try wrong.wait() == 1)
        #expect(wrong.output.contains("there is no scenario 'no scenario'"))
    }

    /// A shell tells its background jobs to ignore SIGINT, which is meant for the job in front.
    @Test func aSignalThatIsIgnoredStaysIgnored() throws {
        let scratch = try ScratchDirectory()
        let arguments = ["control", scratch.path, "kind=interrupt", "epochs=2", "samples=24", "global=6"]
        let ignoring = try Script("trap '' INT; exec \"$@\"", arguments, in: scratch)
        #expect(try ignoring.wait() == 0, "\(ignoring.output)")
        #expect(ignoring.output.contains("steps by rank: 8\n"), "\(ignoring.output)")
        let minding = try Script("exec \"$@\"", arguments, in: scratch)
        #expect(try minding.wait() == 130, "\(minding.output)")
        #expect(minding.output == "interrupted by SIGINT\n")
    }

    @Test func aProgramsOwnHandlerIsBackAfterTraining() throws {
        let test = try SelfTest.success("handlers", ["epochs=1"], in: try ScratchDirectory(), ranks: 0)
        #expect(test["own signals"] == "1")
    }
}
