#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How much processor time the control group of this process may take, as containers and batch systems limit it.
///
/// An affinity mask may show all cores of a machine where only the time of a few of them is given out; with more threads
/// than that, all of them are stopped together for a part of each period.
package enum CPUQuota {
    /// The limit in cores, such as 1.5; nil where there is none.
    ///
    /// - Parameters:
    ///   - root: where control groups are mounted.
    ///   - membership: the text of `/proc/self/cgroup`.
    package static func cores(root: String = "/sys/fs/cgroup", membership: String? = nil) -> Double? {
        let membership = membership ?? text(of: "/proc/self/cgroup") ?? ""
        var limits: [Double] = []
        for line in membership.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            if fields[0] == "0" {
                limits += directories(root, fields[2]).compactMap { unified(text(of: $0 + "/cpu.max")) }
            } else if fields[1].split(separator: ",").contains("cpu") {
                limits += directories("\(root)/\(fields[1])", fields[2]).compactMap {
                    separate(text(of: $0 + "/cpu.cfs_quota_us"), text(of: $0 + "/cpu.cfs_period_us"))
                }
            }
        }
        return limits.min()
    }

    /// The directory of a group and of all groups around it: a limit of any of them holds.
    ///
    /// Inside a container the path may be that of the host, and only the mounted root is there.
    private static func directories(_ root: String, _ path: Substring) -> [String] {
        var directories = [root]
        for part in path.split(separator: "/") { directories.append(directories[directories.count - 1] + "/" + part) }
        return directories
    }

    /// `cpu.max` of version 2: microseconds in a period, or `max`, and the period.
    private static func unified(_ text: String?) -> Double? {
        let numbers = (text ?? "").split { $0 == " " || $0 == "\n" }.map { Double($0) }
        guard numbers.count == 2, let quota = numbers[0], let period = numbers[1], period > 0 else { return nil }
        return quota / period
    }

    /// The two files of version 1; a quota of −1 is none.
    private static func separate(_ quota: String?, _ period: String?) -> Double? {
        func number(_ text: String?) -> Double? { text?.split(separator: "\n").first.flatMap { Double($0) } }
        guard let quota = number(quota), let period = number(period), quota > 0, period > 0 else { return nil }
        return quota / period
    }

    private static func text(of path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
