import CMPI

/// A failed MPI routine, or a use of MPI that this library refused.
public struct MPIError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The MPI routine that failed (`MPI_Allgatherv`), or the Swift function that refused its arguments.
    public let routine: String

    /// The code MPI returned; `nil` when the failure was found by this library before MPI was called.
    public let code: Int?

    /// MPI's own words for `code` (`MPI_Error_string`), or this library's reason.
    public let message: String

    /// What was being done: rank, peer, counts in bytes or elements.
    ///
    /// Empty when nothing is known.
    public let context: String

    /// Makes an error from its parts.
    public init(routine: String, code: Int?, message: String, context: String) {
        self.routine = routine
        self.code = code
        self.message = message
        self.context = context
    }

    /// One line with routine, message, code and context.
    public var description: String {
        let number = code.map { " (code \($0))" } ?? ""
        let place = context.isEmpty ? "" : " [\(context)]"
        return "\(routine): \(message)\(number)\(place)"
    }
}

/// The one door through which every MPI return code passes.
@inline(__always)
func checked(_ code: Int32, _ routine: StaticString, _ context: @autoclosure () -> String) throws(MPIError) {
    guard code == cmpi_success() else { throw failure(code, "\(routine)", context()) }
}

/// Refuses a use that MPI would answer with undefined behaviour.
@inline(__always)
func require(
    _ condition: Bool, _ message: @autoclosure () -> String, in function: StaticString,
    _ context: @autoclosure () -> String
) throws(MPIError) {
    guard condition else {
        throw MPIError(routine: "\(function)", code: nil, message: message(), context: context())
    }
}

@inline(never)
private func failure(_ code: Int32, _ routine: String, _ context: String) -> MPIError {
    MPIError(
        routine: routine, code: Int(code),
        message: text(capacity: cmpi_max_error_string()) { MPI_Error_string(code, $0, $1) },
        context: context)
}

/// The text an MPI routine writes into a buffer of `capacity` characters, with its length.
func text(capacity: Int32, _ fill: (UnsafeMutablePointer<CChar>, UnsafeMutablePointer<Int32>) -> Int32) -> String {
    var length: Int32 = 0
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(capacity) + 1) { characters in
        guard let start = characters.baseAddress, fill(start, &length) == cmpi_success() else { return "unknown" }
        return String(
            decoding: UnsafeRawBufferPointer(start: start, count: Int(min(max(length, 0), capacity))), as: UTF8.self)
    }
}
