import Foundation
import HDF5
import Testing

/// Other programs read our files.
///
/// `h5dump` and `h5ls` come with the package hdf5-tools; without them this fails.
struct ToolTests {
    @Test func h5dumpReadsWhatWasWritten() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/tools.h5"
            let file = try HDF5File.create(at: path)
            try file.writeDataset("model/weight", (0..<6).map { Float($0) / 4 }, shape: [2, 3])
            let half = try file.createDataset("model/half", .bfloat16, shape: [3])
            try [UInt16(0x3FC0), 0xC000, 0x3C00].withUnsafeBytes { try half.write(from: $0, as: .bfloat16) }
            try file.writeDataset("model/count", [42], shape: [])
            try file.writeDataset("big", (0..<2000).map(Int64.init), layout: .chunks([500]), deflate: 6)
            try file.setAttribute("note", "héllo")
            try file.setAttribute("sizes", [3, 4])
            try file.close()

            let shown = try output(of: "h5dump", ["-d", "/model/half", "-y", path])
            #expect(shown.contains("1.5, -2, 0.0078125"))

            let weight = try output(of: "h5dump", ["-d", "/model/weight", "-y", path])
            #expect(weight.contains("H5T_IEEE_F32LE"))
            #expect(weight.contains("( 2, 3 ) / ( 2, 3 )"))
            #expect(weight.contains("0, 0.25, 0.5,"))
            #expect(weight.contains("0.75, 1, 1.25"))

            let count = try output(of: "h5dump", ["-d", "/model/count", "-y", path])
            #expect(count.contains("DATASPACE  SCALAR"))
            #expect(count.contains("42"))

            let big = try output(of: "h5dump", ["-p", "-d", "/big", "-y", path])
            #expect(big.contains("CHECKSUM FLETCHER32"))
            #expect(big.contains("COMPRESSION DEFLATE { LEVEL 6 }"))
            #expect(big.contains("CHUNKED ( 500 )"))
            #expect(big.contains("1998, 1999"))

            let note = try output(of: "h5dump", ["-a", "/note", path])
            #expect(note.contains("H5T_CSET_UTF8"))
            // It prints bytes outside ASCII as octal numbers, differently from version to version.
            #expect(note.contains("(0): \"h\\"))
            #expect(note.contains("llo\""))
            #expect(try output(of: "h5dump", ["-a", "/sizes", "-y", path]).contains("3, 4"))

            let list = try output(of: "h5ls", ["-r", path])
            #expect(list.contains("/model/weight            Dataset {2, 3}"))
            #expect(list.contains("/model/count             Dataset {SCALAR}"))
            #expect(list.contains("/model                   Group"))
        }
    }

    @Test func filesOfOtherTypesAreRead() throws {
        try withTemporaryDirectory { directory in
            let numbers = directory + "/numbers.txt"
            try "1 2 300 4 5 6".write(toFile: numbers, atomically: false, encoding: .utf8)
            let configuration = directory + "/import.conf"
            try """
            RANK 2
            DIMENSION-SIZES 2 3
            PATH other/x
            INPUT-CLASS TEXTIN
            INPUT-SIZE 16
            OUTPUT-CLASS IN
            OUTPUT-SIZE 16
            OUTPUT-BYTE-ORDER BE

            """.write(toFile: configuration, atomically: false, encoding: .utf8)
            let path = directory + "/imported.h5"
            let log = try output(of: "h5import", [numbers, "-c", configuration, "-o", path])
            try #require(FileManager.default.fileExists(atPath: path), "\(log)")
            let dataset = try HDF5File.open(at: path).dataset("other/x")
            #expect(dataset.elementType == nil)
            #expect(dataset.shape == [2, 3])
            #expect(try dataset.read(as: Float.self) == [1, 2, 300, 4, 5, 6])
            #expect(try dataset.read(rows: 1..<2, as: UInt8.self) == [4, 5, 6])
            expectError(.valueOutOfRange, mentioning: "other/x") { _ = try dataset.read(as: UInt8.self) }
        }
    }
}
