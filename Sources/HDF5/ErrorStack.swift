internal import CHDF5

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Takes HDF5's error stack, outermost call first, as lines `function: explanation (major: minor)`.
///
/// Must be called under the library's lock, directly after the call that failed: the next call clears the stack.
func currentErrorStack() -> [String] {
    var lines: [String] = []
    withUnsafeMutablePointer(to: &lines) { lines in
        _ = H5Ewalk2(
            chdf5_current_error_stack(), H5E_WALK_DOWNWARD,
            { _, entry, lines in
                guard let entry = entry?.pointee, let lines else { return 0 }
                let function = entry.func_name.map { String(cString: $0) } ?? "?"
                let explanation = entry.desc.map { String(cString: $0) } ?? ""
                // The driver puts the output of `ctime` into its message, with its line feed.
                let line = "\(function): \(explanation) (\(message(entry.maj_num)): \(message(entry.min_num)))"
                lines.assumingMemoryBound(to: [String].self).pointee.append(
                    String(line.map { $0.isNewline ? " " : $0 }))
                return 0
            }, lines)
    }
    return lines
}

private func message(_ identifier: hid_t) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
        guard let start = buffer.baseAddress, H5Eget_msg(identifier, nil, start, buffer.count) > 0 else { return "?" }
        return String(cString: start)
    }
}

extension HDF5Error {
    /// Reads a failure's cause out of HDF5's stack, which is where HDF5 keeps the operating system's `errno` too.
    static func fromStack(_ stack: [String], routine: String, at place: Place) -> HDF5Error {
        for cause in causes where stack.contains(where: { $0.contains(cause.clue) }) {
            return HDF5Error(cause.kind, routine, at: place, cause.reason, advice: cause.advice, stack: stack)
        }
        return HDF5Error(.other, routine, at: place, "HDF5 reports a failure", stack: stack)
    }

    /// The error for a refusal of the operating system that HDF5 was not told of.
    static func fromErrno(_ code: Int32, routine: String, at place: Place) -> HDF5Error {
        let words = String(cString: strerror(code))
        let error = fromStack(["errno = \(code), error message = '\(words)'"], routine: routine, at: place)
        return error.kind == .other ? HDF5Error(.other, routine, at: place, words) : error
    }

    private struct Cause {
        let clue: String
        let kind: Kind
        let reason: String
        var advice: String?
    }

    /// What a phrase in the error stack means, in the order in which to look: a full disk causes other failures.
    private static let causes: [Cause] = [
        Cause(
            clue: "errno = 28,", kind: .diskFull, reason: "there is no space left on the device",
            advice: diskFullAdvice),
        Cause(clue: "errno = 122,", kind: .diskFull, reason: "the disk quota is used up", advice: diskFullAdvice),
        Cause(
            clue: "Fletcher32", kind: .checksumMismatch,
            reason: "the stored bytes do not match their Fletcher32 checksum", advice: damageAdvice),
        Cause(
            clue: "incorrect metadata checksum", kind: .checksumMismatch,
            reason: "a header does not match its checksum", advice: damageAdvice),
        Cause(
            clue: "truncated file", kind: .truncated, reason: "the file is shorter than its header says",
            advice: "It was not written or copied to its end. Use another copy of it."),
        Cause(
            clue: "file signature not found", kind: .notHDF5, reason: "this is not an HDF5 file",
            advice: "It may be empty or damaged: the first eight bytes of an HDF5 file have the letters HDF in them."),
        Cause(
            clue: "superblock version", kind: .notHDF5, reason: "the file is of a format this HDF5 does not know",
            advice: "Write it again for an older format; in h5py with `libver=(\"v108\", \"v110\")`."),
        Cause(
            clue: "errno = 2,", kind: .missingFile, reason: "no such file or directory",
            advice: "Check the path; directories are not created."),
        Cause(clue: "errno = 20,", kind: .missingFile, reason: "a part of the path is not a directory"),
        Cause(
            clue: "errno = 17,", kind: .fileExists, reason: "the file exists already",
            advice: "Remove it, or create it with `replacing: true`."),
        Cause(clue: "errno = 1,", kind: .permissionDenied, reason: "the operation is not permitted"),
        Cause(clue: "errno = 13,", kind: .permissionDenied, reason: "permission is denied"),
        Cause(clue: "errno = 30,", kind: .permissionDenied, reason: "the file system is read-only"),
        Cause(
            clue: "conversion exception", kind: .valueOutOfRange,
            reason: "a value does not fit into the type it is converted to",
            advice: "Use a type with the range of the stored one, and a floating-point type for fractions."),
    ]

    private static let diskFullAdvice = "Free some space or write elsewhere; the file is incomplete."
    static let damageAdvice = "The file was damaged after it was written. Use another copy of it."
}
