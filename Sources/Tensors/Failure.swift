import Foundation

/// Stops the program on misuse of the tensor library, with a message that survives release builds.
///
/// Shapes and types that do not fit are mistakes of the program, not of the world, so they trap, as an array index
/// does. (`precondition` would drop its message in a release build.)
///
/// - Parameters:
///   - operation: The operation that was asked for.
///   - message: What did not fit, with the shapes.
@inline(never)
package func fail(_ operation: StaticString, _ message: @autoclosure () -> String) -> Never {
    fail("\(operation): \(message())")
}

/// Stops the program on misuse, with a message that is the last thing it says.
///
/// Swift's runtime would print a hundred lines of trace below it, on every rank, and the message would be gone from the
/// terminal. It is told not to, unless the environment asks for a trace.
@inline(never)
package func fail(_ message: String) -> Never {
    if (ProcessInfo.processInfo.environment["SWIFT_BACKTRACE"] ?? "").isEmpty {
        let hint = "note: with SWIFT_BACKTRACE=enable=yes in the environment, a trace names the line that led here:\n"
        FileHandle.standardError.write(Data(hint.utf8))
        // The trap is as it was, with its exit status, its core and its stop in a debugger; only nobody catches it.
        for trap in [SIGILL, SIGTRAP] { signal(trap, SIG_DFL) }
    }
    fatalError(message)
}

/// Traps with a message unless a condition holds.
@inline(__always)
package func require(_ condition: Bool, _ operation: StaticString, _ message: @autoclosure () -> String) {
    if !condition { fail(operation, message()) }
}
