import Foundation
import Synchronization

/// A run was ended by a signal, at the end of a batch, with a checkpoint behind it.
public struct Interrupted: Error, CustomStringConvertible {
    /// The signal: SIGINT, SIGTERM or SIGUSR1.
    public let signal: Int32
    /// The checkpoint to go on from, if one was written.
    public let checkpoint: String?

    /// The exit status a shell expects: 128 plus the signal; 130, 143 or 138.
    public var exitStatus: Int32 { 128 + signal }

    /// One line for a user.
    public var description: String {
        let names = [SIGINT: "SIGINT", SIGTERM: "SIGTERM", SIGUSR1: "SIGUSR1"]
        return "interrupted by \(names[signal] ?? "signal \(signal)")"
            + (checkpoint.map { "; continue with --checkpoint \($0)" } ?? "")
    }
}

/// Remembers the first signal that asks for an end; a second one ends the process at once.
///
/// SIGUSR1 is among them because `mpirun` passes it on to the ranks and waits, while on SIGINT and SIGTERM it kills them
/// after a second; batch systems send it some time before the end of a job.
enum SignalWatch {
    /// The signals that ask for an end.
    static let signals = [SIGINT, SIGTERM, SIGUSR1]

    private static let received = Atomic<Int32>(0)
    /// What was done about the signals before, by signal.
    private static let previous = Mutex<[Int32: sigaction]>([:])

    /// The signal received, or 0.
    static var signal: Int32 { received.load(ordering: .relaxed) }

    /// Watches from now on, except for signals that this process was told to ignore, as a shell tells background jobs.
    static func install() {
        received.store(0, ordering: .relaxed)
        previous.withLock { previous in
            for number in signals where previous[number] == nil {
                var old = sigaction()
                guard sigaction(number, nil, &old) == 0, !ignores(old) else { continue }
                var action = sigaction()
                action.__sigaction_handler.sa_handler = { number in
                    if SignalWatch.received.exchange(number, ordering: .relaxed) != 0 { _exit(128 + number) }
                }
                action.sa_flags = SA_RESTART
                if sigaction(number, &action, nil) == 0 { previous[number] = old }
            }
        }
    }

    /// Stops watching, forgets, and does about the signals what was done before.
    static func remove() {
        previous.withLock { previous in
            for (number, var old) in previous { sigaction(number, &old, nil) }
            previous.removeAll()
        }
        received.store(0, ordering: .relaxed)
    }

    private static func ignores(_ action: sigaction) -> Bool {
        unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }
}
