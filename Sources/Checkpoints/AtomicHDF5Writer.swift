import Foundation
import HDF5

// Note [Whole or absent]
// A reader must never see half a checkpoint, whenever the writer, the machine or the disk fails. So a file is written
// under a temporary name in the directory of the final one (a rename is atomic only inside a file system), flushed
// and closed by HDF5, sealed with a hash of all its bytes (see Note [Seal]), brought onto the disk by `fsync`, opened again and read completely, which compares all
// checksums, and only then renamed. The directory is brought onto the disk last: without that, the new name could be
// lost in a power failure although the caller was told that the checkpoint exists. Verification reads through the
// operating system's cache: it finds what went wrong in writing, not what a failing disk does later, which is found
// by the same checksums when the checkpoint is loaded.

/// An HDF5 file that is being written and has no name yet; it appears whole, or not at all.
public final class AtomicHDF5File {
    /// The final name.
    public let path: String
    /// The file to fill.
    public let file: HDF5File
    private let temporary: String
    private var isOpen = true

    /// Begins a file under a temporary name beside its final one, whose directory must exist.
    public init(at path: String) throws(AtomicWriteError) {
        self.path = path
        temporary = TemporaryName.next().path(beside: path)
        do { file = try HDF5File.create(at: temporary) } catch {
            unlink(temporary)
            throw AtomicWriteError(path: path, step: .creating, cause: error)
        }
    }

    deinit { discard() }

    /// Gives the file its final name, replacing what was there, or fails and leaves what was there.
    ///
    /// - Throws: `AtomicWriteError`, which says in which step it failed and why. The temporary file is removed.
    public func commit() throws(AtomicWriteError) {
        isOpen = false
        var step = AtomicWriteError.Step.closing
        do {
            try file.close()
            step = .sealing
            try HDF5File.seal(temporary)
            step = .synchronizing
            try synchronize(temporary)
            step = .verifying
            let written = try HDF5File.open(at: temporary)
            try written.verify()
            try written.close()
            step = .renaming
            guard rename(temporary, path) == 0 else { throw POSIXFailure(code: errno) }
            step = .synchronizingDirectory
            try synchronize(directory(of: path))
        } catch {
            // After the rename there is nothing of this name any more.
            unlink(temporary)
            throw AtomicWriteError(path: path, step: step, cause: error)
        }
    }

    /// Removes the file instead; what was there under its final name stays.
    public func discard() {
        guard isOpen else { return }
        isOpen = false
        try? file.close()
        unlink(temporary)
    }
}

/// Writes HDF5 files that are whole or absent.
public enum AtomicHDF5Writer {
    /// Writes one file under its final name, replacing what was there, or fails and leaves what was there.
    ///
    /// - Parameters:
    ///   - path: The final name; its directory must exist.
    ///   - body: Fills the file. It need not close it; what it keeps of it is closed afterwards.
    /// - Throws: `AtomicWriteError`, which says in which step it failed and why. The temporary file is removed.
    public static func write(to path: String, _ body: (HDF5File) throws -> Void) throws(AtomicWriteError) {
        let pending = try AtomicHDF5File(at: path)
        do {
            try body(pending.file)
        } catch {
            // The first failure is the one to report: closing an unfinished file may well fail too.
            pending.discard()
            throw AtomicWriteError(path: path, step: .filling, cause: error)
        }
        try pending.commit()
    }

    /// Removes the temporary files that processes of this host left behind in a directory when they were killed.
    ///
    /// Files of running processes and of other hosts stay.
    ///
    /// - Parameter directory: Where checkpoints are written.
    /// - Returns: The paths of the removed files.
    @discardableResult
    public static func removeStaleFiles(in directory: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.sorted().filter { TemporaryName($0)?.isStale ?? false }
            .map { directory + "/" + $0 }
            .filter { unlink($0) == 0 }
    }
}

/// A file that could not be written; what was there before is unchanged, unless `step` is `synchronizingDirectory`.
public struct AtomicWriteError: Error, CustomStringConvertible {
    /// What was being done when it failed.
    public enum Step: String, Sendable {
        /// Creating the temporary file.
        case creating = "creating the file"
        /// Running the closure that fills the file.
        case filling = "filling it"
        /// Writing the last of it and closing it.
        case closing = "closing it"
        /// Appending the hash of the whole file.
        case sealing = "sealing it"
        /// Waiting until the file is on the disk.
        case synchronizing = "bringing it onto the disk"
        /// Reading everything back.
        case verifying = "reading it back"
        /// Giving the file its final name.
        case renaming = "renaming it"
        /// Waiting until the new name is on the disk; the file is whole and has its final name.
        case synchronizingDirectory = "bringing its directory onto the disk"
    }

    /// The final name.
    public let path: String
    /// What was being done.
    public let step: Step
    /// Why it failed: an `HDF5Error`, what the closure threw, or a description of the operating system's refusal.
    public let cause: any Error

    /// Whether the disk, or a quota, is full.
    public var isDiskFull: Bool {
        switch cause {
        case let cause as HDF5Error: cause.kind == .diskFull
        case let cause as POSIXFailure: cause.code == ENOSPC || cause.code == EDQUOT
        default: false
        }
    }

    /// The file, the step, the cause, and what became of the file that was there before.
    public var description: String {
        let fate =
            step == .synchronizingDirectory
            ? "The new file is there, but might be lost in a power failure."
            : "A file that was there before is unchanged."
        return "\(path) was not written, in \(step.rawValue): \(cause)\n  \(fate)"
    }
}

/// A call of the operating system that failed.
struct POSIXFailure: Error, CustomStringConvertible {
    let code: Int32
    var description: String { String(cString: strerror(code)) }
}

/// Waits until a file or directory is on the disk.
private func synchronize(_ path: String) throws(POSIXFailure) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw POSIXFailure(code: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw POSIXFailure(code: errno) }
}

/// The directory a path lies in.
package func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}
