import Foundation
import Synchronization

/// A run was ended by a signal, at the end of a batch, with a checkpoint behind it.
public struct Interrupted: Error, CustomStringConvertible {
    /// The signal: SIGINT or SIGTERM.
    public let signal: Int32
    /// The checkpoint to go on from, if one was written.
    public let checkpoint: String?

    /// The exit status a shell expects: 128 plus the signal.
    public var exitStatus: Int32 { 128 + signal }

    /// One line for a user.
    public var description: String {
        let name = signal == SIGINT ? "SIGINT" : "SIGTERM"
        return "interrupted by \(name)" + (checkpoint.map { "; continue with --checkpoint \($0)" } ?? "")
    }
}

/// Remembers the first SIGINT or SIGTERM; a second one ends the process at once.
enum SignalWatch {
    private static let received = Atomic<Int32>(0)

    /// The signal received, or 0.
    static var signal: Int32 { received.load(ordering: .relaxed) }

    /// Watches from now on.
    static func install() {
        received.store(0, ordering: .relaxed)
        for number in [SIGINT, SIGTERM] {
            Foundation.signal(number) { number in
                if SignalWatch.received.exchange(number, ordering: .relaxed) != 0 { _exit(128 + number) }
            }
        }
    }

    /// Stops watching, and forgets.
    static func remove() {
        for number in [SIGINT, SIGTERM] { Foundation.signal(number, SIG_DFL) }
        received.store(0, ordering: .relaxed)
    }
}
