import Foundation

/// Makes `version_N` directories.
enum RunDirectory {
    /// Makes the next free `version_N` in a root directory; two programs at once get different ones.
    static func create(in root: String) throws -> String {
        do {
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            let names = try FileManager.default.contentsOfDirectory(atPath: root)
            var version = (names.compactMap(number).max() ?? -1) + 1
            while true {
                let path = "\(root)/version_\(version)"
                if mkdir(path, 0o777) == 0 { return path }
                guard errno == EEXIST else { throw TrainingError(String(cString: strerror(errno))) }
                version += 1
            }
        } catch {
            let reason = (error as? TrainingError)?.description ?? error.localizedDescription
            throw TrainingError("no run directory can be made in '\(root)' (trainer.defaultRootDir): \(reason)")
        }
    }

    /// The newest `version_N` that satisfies a condition.
    static func newest(in root: String, where condition: (String) -> Bool) -> String? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        let versions = names.compactMap { name in number(name).map { (number: $0, path: "\(root)/\(name)") } }
        return versions.sorted { $0.number > $1.number }.first { condition($0.path) }?.path
    }

    private static func number(_ name: String) -> Int? {
        name.hasPrefix("version_") ? Int(name.dropFirst("version_".count)) : nil
    }
}
