import Foundation
import Synchronization

/// Makes a file so that it is there completely or not at all.
///
/// `write` gets a temporary name in the same directory, which no other replacement uses: not in this process, not in
/// another one, and not on another node that has the directory mounted too and processes of the same numbers. When it
/// succeeds, the file is brought onto the disk and takes the final name in one step, replacing what was there. When it
/// fails, what was there stays.
///
/// - Parameters:
///   - path: The final name.
///   - write: Makes a complete file at the path it is given, and closes it.
/// - Throws: What `write` throws, and `ArchiveError` when the operating system refuses.
package func replaceFile(at path: String, write: (String) throws -> Void) throws {
    let number = replacementCount.add(1, ordering: .relaxed).newValue
    let temporary = "\(path).\(getpid())-\(number)@\(hostName).partial"
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

private let replacementCount = Atomic<Int>(0)

/// The name of this node; `ProcessInfo` would ask the network for it.
private let hostName: String = {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}()

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
