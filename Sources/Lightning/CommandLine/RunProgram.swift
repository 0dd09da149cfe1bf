import Foundation

/// Runs a program that trains, says once what went wrong, and ends the process with the right status.
///
/// Put everything that throws into it:
///
/// ```swift
/// runProgram {
///     let trainer = try Trainer(maxEpochs: 10)
///     try trainer.fit(module, train: loader)
/// }
/// ```
///
/// The status is 0 after success, that of ``Interrupted`` after a signal, and 1 after any other error. Rank 0 prints
/// the error on the standard error.
public func runProgram(_ body: () throws -> Void) -> Never {
    do {
        try body()
        exit(0)
    } catch let interrupted as Interrupted {
        if LaunchRank.current == 0 { printError("\(interrupted)") }
        exit(interrupted.exitStatus)
    } catch {
        // The same mistake is usually every rank's; rank 0 says it, and ends the job before the others speak.
        if LaunchRank.current != 0 { Thread.sleep(forTimeInterval: 1) }
        printError("error: \(error)")
        exit(1)
    }
}

private func printError(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
