import Foundation
import HDF5

/// What an archive was made of: a note in the archive, by which a change of the source is seen.
///
/// The note is the attribute `source` of the file: one line per source file, with its absolute path, its size in bytes
/// and the time of its last change.
public struct ArchiveSource: Sendable, Equatable {
    /// The paths of the source files, or what the source is called.
    public let names: [String]
    private let states: [String]

    /// Source files as they are now; they need not exist.
    public init(files: [String]) {
        names = files.map { URL(fileURLWithPath: $0).standardizedFileURL.path }
        states = names.map { name in
            var status = stat()
            guard stat(name, &status) == 0 else { return "" }
            return "\(status.st_size) bytes, changed at \(status.st_mtim.tv_sec) s + \(status.st_mtim.tv_nsec) ns"
        }
    }

    /// A source that is no file, and always the same.
    public init(named name: String) {
        names = [name]
        states = ["always the same"]
    }

    /// Whether all source files are there.
    public var exists: Bool { !states.contains("") }

    /// The attribute's text.
    private var note: String { zip(names, states).map { "\($0): \($1)\n" }.joined() }

    /// Writes the note into an archive in the making.
    func write(to file: HDF5File) throws { try file.setAttribute(Self.attribute, note) }

    /// Whether there is an archive that was made of this source as it is now.
    ///
    /// An archive whose source is not there any more is as good as ever, if it was made of files of these names: only
    /// the archive may have been copied to this machine.
    ///
    /// - Parameter path: The archive.
    /// - Throws: `HDF5Error` when the archive is damaged and there is no source to make another.
    public func isIn(archive path: String) throws -> Bool {
        guard FileManager.default.fileExists(atPath: path) else { return false }
        do {
            let file = try HDF5File.open(at: path)
            guard try file.hasAttribute(Self.attribute) else { return false }
            let found = try file.attribute(Self.attribute, as: String.self)
            return exists ? found == note : names == found.split(separator: "\n").map(Self.name)
        } catch {
            if exists { return false }
            throw error
        }
    }

    private static let attribute = "source"

    /// The name in a line of a note.
    private static func name(_ line: Substring) -> String {
        line.range(of: ": ", options: .backwards).map { String(line[..<$0.lowerBound]) } ?? String(line)
    }
}
