import Foundation
import MPI
import TestSupport
import Testing

/// Limits of processor time, read from files like those of the kernel.
struct CPUQuotaTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func write(_ text: String, _ path: String) throws {
        let file = URL(fileURLWithPath: scratch.file(path))
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    private func cores(_ membership: String) -> Double? { CPUQuota.cores(root: scratch.path, membership: membership) }

    @Test func theTightestLimitOfAllGroupsAroundHolds() throws {
        #expect(cores("0::/outer/inner\n") == nil)
        try write("max 100000\n", "cpu.max")
        try write("max 100000\n", "outer/inner/cpu.max")
        #expect(cores("0::/outer/inner\n") == nil)
        try write("300000 100000\n", "outer/cpu.max")
        #expect(cores("0::/outer/inner\n") == 3)
        #expect(cores("0::/other\n") == nil)
        try write("150000 100000\n", "outer/inner/cpu.max")
        #expect(cores("0::/outer/inner\n") == 1.5)
        #expect(cores("0::/outer\n") == 3)
        // In a container: the path is the host's, the files are those of the root.
        try write("50000 100000\n", "cpu.max")
        #expect(cores("0::/docker/abc\n") == 0.5)
    }

    @Test func theFirstVersionOfControlGroups() throws {
        let membership = "4:memory:/a\n3:cpu,cpuacct:/a\n1:cpuset:/a\n"
        try write("-1\n", "cpu,cpuacct/cpu.cfs_quota_us")
        try write("100000\n", "cpu,cpuacct/cpu.cfs_period_us")
        #expect(cores(membership) == nil)
        try write("250000\n", "cpu,cpuacct/a/cpu.cfs_quota_us")
        try write("100000\n", "cpu,cpuacct/a/cpu.cfs_period_us")
        #expect(cores(membership) == 2.5)
    }

    @Test func whatIsNotAQuotaIsNone() throws {
        for text in ["", "max", "no 100000", "100000 0", "1 2 3"] {
            try write(text, "cpu.max")
            #expect(cores("0::/\n") == nil, "\(text)")
        }
        #expect(cores("nonsense") == nil)
    }
}
