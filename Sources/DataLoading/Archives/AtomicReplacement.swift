import Foundation

/// Makes a file so that it is there completely or not at all.
///
/// `write` gets a temporary name in the same directory. When it succeeds, the file is brought onto the disk and takes
/// the final name in one step, replacing what was there. When it fails, what was there stays.
///
/// - Parameters:
///   - path: The final name.
///   - write: Makes a complete file at the path it is given, and closes it.
/// - Throws: What `write` throws, and `ArchiveError` when the operating system refuses.
func replaceFile(at path: String, write: (String) throws -> Void) throws {
    let temporary = "\(path).\(ProcessInfo.processInfo.processIdentifier).partial"
    do {
        try write(temporary)
        try synchronize(temporary)
        guard rename(temporary, path) == 0 else { throw systemFailure("the file cannot be renamed", path) }
    } catch {
        unlink(temporary)
        throw error
    }
    // The new name is only on the disk when the directory is.
    try synchronize(URL(fileURLWithPath: path).deletingLastPathComponent().path)
}

/// Waits until a file or directory is on the disk.
private func synchronize(_ path: String) throws(ArchiveError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw systemFailure("it cannot be opened", path) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw systemFailure("it cannot be brought onto the disk", path) }
}

private func systemFailure(_ what: String, _ path: String) -> ArchiveError {
    ArchiveError(path, "\(what): \(String(cString: strerror(errno)))")
}
