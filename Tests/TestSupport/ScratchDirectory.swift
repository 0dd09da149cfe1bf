import Foundation

/// A directory of a test's own, removed with it.
public final class ScratchDirectory: Sendable {
    /// Where it is.
    public let path: String

    /// Makes a new directory.
    public init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("test-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// The path of a file in it.
    public func file(_ name: String) -> String { path + "/" + name }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
