import Checkpoints
import Foundation
import HDF5
import Testing

struct AtomicHDF5WriterTests {
    @Test func aFileIsWrittenAndReplaced() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.h5"
            for version in 1...3 {
                try AtomicHDF5Writer.write(to: path) { file in
                    try file.writeDataset("model/weight", [Float](repeating: Float(version), count: 100_000))
                    try file.writeDataset("model/bias", [Float(version)], shape: [])
                    try file.writeDataset("none", [Int64](), shape: [0, 4])
                    try file.writeText("configuration", String(repeating: "{}", count: 100_000))
                    try file.setAttribute("version", version)
                }
                let file = try HDF5File.open(at: path)
                #expect(try file.attribute("version", as: Int.self) == version)
                #expect(try file.dataset("model/bias").read() == [Float(version)])
                #expect(try names(in: directory) == ["a.h5"])
            }
        }
    }

    @Test func aFailureLeavesTheOldFile() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.h5"
            try AtomicHDF5Writer.write(to: path) { try $0.setAttribute("version", 1) }
            struct Failure: Error {}
            var kept: HDF5File?
            let error = #expect(throws: AtomicWriteError.self) {
                try AtomicHDF5Writer.write(to: path) { file in
                    kept = file
                    try file.writeDataset("x", [1.0])
                    throw Failure()
                }
            }
            #expect(error?.step == .filling)
            #expect(error?.cause is Failure)
            #expect(error?.description.contains("unchanged") == true)
            #expect(throws: HDF5Error.self) { try kept?.names }
            #expect(try names(in: directory) == ["a.h5"])
            #expect(try HDF5File.open(at: path).attribute("version", as: Int.self) == 1)
        }
    }

    @Test func impossiblePlaces() throws {
        try withTemporaryDirectory { directory in
            let missing = #expect(throws: AtomicWriteError.self) {
                try AtomicHDF5Writer.write(to: directory + "/no/a.h5") { _ in }
            }
            #expect(missing?.step == .creating)
            #expect((missing?.cause as? HDF5Error)?.kind == .missingFile)

            try FileManager.default.createDirectory(atPath: directory + "/taken/x", withIntermediateDirectories: true)
            let taken = #expect(throws: AtomicWriteError.self) {
                try AtomicHDF5Writer.write(to: directory + "/taken") { _ in }
            }
            #expect(taken?.step == .renaming)
            #expect(try names(in: directory) == ["taken"])
        }
    }

    @Test func damageBetweenWritingAndRenamingIsFound() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.h5"
            let marker = Array("a peculiar marker".utf8)
            let error = #expect(throws: AtomicWriteError.self) {
                try AtomicHDF5Writer.write(to: path) { file in
                    try file.writeDataset("x", marker + [UInt8](repeating: 0, count: 10_000))
                    try file.close()
                    // What a failing controller would do.
                    let temporary = directory + "/" + (try names(in: directory)[0])
                    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: temporary)))
                    let place = try #require(bytes.indices.first { bytes[$0...].starts(with: marker) })
                    bytes[place] ^= 1
                    try Data(bytes).write(to: URL(fileURLWithPath: temporary))
                }
            }
            #expect(error?.step == .verifying)
            #expect((error?.cause as? HDF5Error)?.kind == .checksumMismatch)
            #expect((error?.cause as? HDF5Error)?.object == "x")
            let left = try names(in: directory)
            #expect(left == [])
        }
    }

    @Test func relativePaths() {
        #expect(directory(of: "a.h5") == ".")
        #expect(directory(of: "/a.h5") == "/")
        #expect(directory(of: "b/a.h5") == "b")
        #expect(directory(of: "/c/b/a.h5") == "/c/b")
    }

    @Test func onlyFilesOfDeadProcessesAreRemoved() throws {
        try withTemporaryDirectory { directory in
            // A process that certainly does not run any more.
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/true")
            try process.run()
            process.waitUntilExit()
            let host = TemporaryName.thisHost
            let dead = TemporaryName(process: process.processIdentifier, number: 3, host: host)
            #expect(TemporaryName(dead.text) == dead)
            let stay = [
                TemporaryName(process: getpid(), number: 1, host: host).text,
                TemporaryName(process: process.processIdentifier, number: 1, host: host + "x").text,
                ".partial-x-1@\(host).h5", "a.h5", ".partial",
            ]
            for name in stay + [dead.text] { try Data().write(to: URL(fileURLWithPath: "\(directory)/\(name)")) }
            #expect(AtomicHDF5Writer.removeStaleFiles(in: directory) == ["\(directory)/\(dead.text)"])
            #expect(try names(in: directory) == stay.sorted())
            #expect(AtomicHDF5Writer.removeStaleFiles(in: directory + "/no") == [])
        }
    }

    @Test func manyThreadsWriteAtOnce() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.h5"
            DispatchQueue.concurrentPerform(iterations: 16) { index in
                do {
                    try AtomicHDF5Writer.write(to: path) { try $0.writeDataset("x", [index, index, index]) }
                } catch { Issue.record(error) }
            }
            let values = try HDF5File.open(at: path).dataset("x").read(as: Int.self)
            #expect(Set(values).count == 1)
            #expect(try names(in: directory) == ["a.h5"])
        }
    }
}
