import Checkpoints
import Foundation
import HDF5
import Testing

/// Really full disks, at each moment at which HDF5 may notice.
@Suite(.enabled(if: SmallDisk.isPossible, "mounting a small file system takes the rights of root"))
struct DiskFullTests {
    /// Writes a first file, fails to write a second, and looks at what is left.
    private func expectDiskFull(
        step: AtomicWriteError.Step, sourceLocation: SourceLocation = #_sourceLocation,
        _ body: (HDF5File, _ disk: String) throws -> Void
    ) throws {
        let disk = try #require(SmallDisk())
        let path = disk.path + "/last.h5"
        try AtomicHDF5Writer.write(to: path) { try $0.writeDataset("x", [Double](repeating: 1, count: 10_000)) }
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        let free = disk.free
        do throws(AtomicWriteError) {
            let directory = disk.path
            try AtomicHDF5Writer.write(to: path) { try body($0, directory) }
            Issue.record("nothing was thrown", sourceLocation: sourceLocation)
        } catch {
            #expect(error.isDiskFull, "\(error)", sourceLocation: sourceLocation)
            #expect(error.step == step, "\(error)", sourceLocation: sourceLocation)
        }
        unlink(disk.path + "/ballast")
        #expect(try names(in: disk.path) == ["last.h5"], sourceLocation: sourceLocation)
        // A descriptor that stayed open would keep the space of the removed file.
        #expect(disk.isFree(free), sourceLocation: sourceLocation)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before, sourceLocation: sourceLocation)
        // HDF5 still works, under the same names.
        try AtomicHDF5Writer.write(to: path) { try $0.writeDataset("x", [2.0]) }
        #expect(try HDF5File.open(at: path).dataset("x").read() == [2.0], sourceLocation: sourceLocation)
    }

    @Test func whileWritingALargeDataset() throws {
        try expectDiskFull(step: .filling) { file, _ in
            try file.writeDataset("weight", [Float](repeating: 1, count: 1 << 20))
        }
    }

    @Test func whileWritingWithoutChunks() throws {
        try expectDiskFull(step: .filling) { file, _ in
            try file.writeDataset("weight", [Float](repeating: 1, count: 1 << 20), layout: .contiguous)
        }
    }

    @Test func whileWritingManySmallDatasets() throws {
        try expectDiskFull(step: .filling) { file, _ in
            for index in 0..<2000 { try file.writeDataset("group/\(index)", [Float](repeating: 1, count: 200)) }
        }
    }

    /// What HDF5 has in its caches only reaches the disk when the file is closed.
    @Test func whileClosing() throws {
        try expectDiskFull(step: .closing) { file, disk in
            for index in 0..<100 { try file.writeDataset("group/\(index)", [Float](repeating: 1, count: 200)) }
            let ballast = open(disk + "/ballast", O_WRONLY | O_CREAT, 0o600)
            defer { close(ballast) }
            let block = [UInt8](repeating: 0, count: 4096)
            while Foundation.write(ballast, block, block.count) > 0 {}
        }
    }

    /// With every amount of free space the file is whole, or the disk is as it was before.
    @Test func withAnyAmountOfSpace() throws {
        let disk = try #require(SmallDisk())
        let path = disk.path + "/a.h5"
        let ballast = open(disk.path + "/ballast", O_RDWR | O_CREAT, 0o600)
        defer { close(ballast) }
        var (whole, failed) = (0, 0)
        for size in stride(from: disk.free - 8192, to: 0, by: -8192) {
            try #require(posix_fallocate(ballast, 0, size) == 0)
            let free = disk.free
            if let failure = writeManyObjects(to: path) {
                failed += 1
                try #require(failure.isDiskFull, "\(failure)")
            } else {
                whole += 1
                try #require(try HDF5File.open(at: path).group("large").names.count == 60)
                unlink(path)
            }
            try #require(try names(in: disk.path) == ["ballast"])
            try #require(disk.isFree(free))
            ftruncate(ballast, 0)
        }
        #expect(whole > 10)
        #expect(failed > 50)
    }

    private func writeManyObjects(to path: String) -> AtomicWriteError? {
        do throws(AtomicWriteError) {
            try AtomicHDF5Writer.write(to: path) { file in
                for index in 0..<60 {
                    try file.writeDataset("small/\(index)", [Float](repeating: 1, count: 200))
                    try file.writeDataset("large/\(index)", [Float](repeating: 1, count: 2000))
                    try file.createGroup("group/\(index)").setAttribute("text", "text")
                }
                try file.setAttribute("long", String(repeating: "x", count: 70_000))
            }
            return nil
        } catch {
            return error
        }
    }

    /// A failed close must not make the process crash or complain at its end.
    @Test func theProcessEndsWell() async {
        await #expect(processExitsWith: .exitCode(7)) {
            guard let disk = SmallDisk() else { exit(1) }
            try? AtomicHDF5Writer.write(to: disk.path + "/a.h5") { file in
                for index in 0..<2000 { try file.writeDataset("group/\(index)", [Float](repeating: 1, count: 200)) }
            }
            disk.unmount()
            exit(7)
        }
    }
}
