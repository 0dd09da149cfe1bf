import Foundation

/// A file that is only ever appended to, each piece handed to the operating system at once.
///
/// What was appended is not lost when the program dies, however it dies. ``flush()`` waits for the disk, which only a
/// machine that loses its power asks for.
final class AppendingFile {
    private let path: String
    private let header: String
    private var handle: FileHandle?

    /// A file that is made, with its directory, when first appended to; one that is there is kept.
    init(_ path: String, header: String = "") {
        self.path = path
        self.header = header
    }

    /// Appends a text.
    func append(_ text: String) throws { try append(Data(text.utf8)) }

    /// Appends bytes.
    func append(_ data: Data) throws { try opened().write(contentsOf: data) }

    /// Waits until everything is on the disk.
    func flush() throws { try handle?.synchronize() }

    /// Waits until everything is on the disk, and closes the file; appending opens it again.
    func close() throws {
        try flush()
        try handle?.close()
        handle = nil
    }

    private func opened() throws -> FileHandle {
        if let handle { return handle }
        let files = FileManager.default
        if !files.fileExists(atPath: path) {
            let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
            try files.createDirectory(atPath: directory, withIntermediateDirectories: true)
            guard files.createFile(atPath: path, contents: Data(header.utf8)) else {
                throw TrainingError("\(path) cannot be created")
            }
        }
        guard let opened = FileHandle(forWritingAtPath: path) else { throw TrainingError("\(path) cannot be written") }
        try opened.seekToEnd()
        handle = opened
        return opened
    }
}
