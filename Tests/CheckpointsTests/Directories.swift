import Foundation

/// Runs a test with a directory of its own, removed afterwards.
func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("checkpoints-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    return try body(directory.path)
}

/// The names in a directory, sorted.
func names(in directory: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
}

/// A file system of 1 MiB in memory, mounted with the rights of root.
final class SmallDisk {
    let path: String

    /// Mounts it; `nil` without the rights to.
    init?() {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("small-\(UUID().uuidString)").path
        guard mkdir(path, 0o700) == 0 else { return nil }
        guard mount("tmpfs", path, "tmpfs", 0, "size=1m") == 0 else {
            rmdir(path)
            return nil
        }
    }

    /// Bytes that can still be written.
    var free: Int {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return -1 }
        return Int(status.f_bavail) * Int(status.f_bsize)
    }

    /// Whether so many bytes can be written, now or soon.
    ///
    /// A process that another test is just starting has our descriptors for a moment, between `fork` and `exec`, and
    /// with them the space of a removed file.
    func isFree(_ bytes: Int) -> Bool {
        for _ in 0..<500 where free != bytes { usleep(10_000) }
        return free == bytes
    }

    deinit {
        unmount()
    }

    /// Takes it away again.
    func unmount() {
        umount2(path, Int32(MNT_DETACH))
        rmdir(path)
    }

    /// Whether this process may mount one.
    static let isPossible: Bool = {
        guard let disk = SmallDisk() else { return false }
        return disk.free > 0
    }()
}
