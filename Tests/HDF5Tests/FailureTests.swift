import Foundation
import HDF5
import Testing

/// Each way a file can be wrong has its own error, which names the place.
struct FailureTests {
    @Test func filesThatAreNotThere() throws {
        try withTemporaryDirectory { directory in
            expectError(.missingFile, mentioning: "nowhere.h5") { _ = try HDF5File.open(at: directory + "/nowhere.h5") }
            expectError(.missingFile, mentioning: "directories") {
                _ = try HDF5File.create(at: directory + "/no/such/file.h5")
            }
            let path = directory + "/text.h5"
            try "no HDF5 at all, just some text".write(toFile: path, atomically: false, encoding: .utf8)
            expectError(.notHDF5, mentioning: path) { _ = try HDF5File.open(at: path) }
            expectError(.fileExists, mentioning: "replacing") { _ = try HDF5File.create(at: path) }
            try HDF5File.create(at: path, replacing: true).close()
            #expect(try HDF5File.open(at: path).names == [])
            try Data().write(to: URL(fileURLWithPath: path))
            expectError(.notHDF5, mentioning: "empty") { _ = try HDF5File.open(at: path) }
        }
    }

    @Test func everyTruncationIsNoticed() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/whole.h5"
            let file = try HDF5File.create(at: path)
            try file.writeDataset("x", (0..<3000).map(Float.init))
            try file.close()
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            let part = directory + "/part.h5"
            for length in stride(from: 0, to: whole.count, by: 97) {
                try whole.prefix(length).write(to: URL(fileURLWithPath: part))
                #expect { try HDF5File.open(at: part) } throws: { error in
                    guard let error = error as? HDF5Error else { return false }
                    return length < 48 ? error.kind == .notHDF5 || error.kind == .other : error.kind == .truncated
                }
            }
        }
    }

    @Test func damagedChunksAreNoticed() throws {
        try withTemporaryDirectory { directory in
            for deflate in [nil, 0] {
                let path = "\(directory)/chunks-\(deflate == nil).h5"
                let file = try HDF5File.create(at: path)
                var values = [UInt8](repeating: 1, count: 30_000)
                let pattern: [UInt8] = [201, 17, 93, 240, 55]
                values.replaceSubrange(20_000..<20_005, with: pattern)
                try file.writeDataset("model/weight", values, layout: .chunks([10_000]), deflate: deflate)
                try file.close()
                try damage(path, at: pattern)
                let damaged = try HDF5File.open(at: path)
                let dataset = try damaged.dataset("model/weight")
                #expect(try dataset.read(rows: 0..<20_000) == [UInt8](repeating: 1, count: 20_000))
                expectError(.checksumMismatch, mentioning: "model/weight") { _ = try dataset.read(as: UInt8.self) }
                expectError(.checksumMismatch, mentioning: "Fletcher32") { _ = try dataset.read(as: UInt8.self) }
            }
        }
    }

    @Test func damagedSmallValuesAreNoticed() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/small.h5"
            let pattern: [UInt8] = [201, 17, 93, 240, 55]
            let file = try HDF5File.create(at: path)
            try file.writeDataset("bias", pattern)
            try file.close()
            try damage(path, at: pattern)
            expectError(.checksumMismatch, mentioning: "bias") {
                _ = try HDF5File.open(at: path).dataset("bias").read(as: UInt8.self)
            }
        }
    }

    @Test func verifyingReadsEverything() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/all.h5"
            let pattern: [UInt8] = [201, 17, 93, 240, 55]
            let marked = pattern + [UInt8](repeating: 0, count: 9999)
            func make(_ mark: (HDF5File) throws -> Void) throws {
                let file = try HDF5File.create(at: path, replacing: true)
                try file.writeDataset(
                    "a/large", (0..<30_000).map(Float.init), shape: [30, 1000], layout: .chunks([7, 300]))
                try file.writeDataset("a/single", [1.0], shape: [])
                try file.writeDataset("a/none", [Int32](), shape: [3, 0])
                try file.writeDataset("a/whole", [1, 2, 3], layout: .contiguous)
                try file.writeText("text", "some text")
                try file.setAttribute("list", ["a", "b"])
                try mark(file)
                try file.close()
            }
            try make { _ in }
            try HDF5File.open(at: path).verify()
            let marks: [(String, (HDF5File) throws -> Void)] = [
                ("b/c", { try $0.writeDataset("b/c", marked) }),
                ("b/c", { try $0.writeDataset("b/c", marked, deflate: 0) }),
                ("b/c", { try $0.writeDataset("b/c", pattern) }),
                ("all.h5", { try $0.setAttribute("mark", String(decoding: [1, 2, 3, 4] as [UInt8], as: UTF8.self)) }),
                ("json", { try $0.writeText("json", String(repeating: "x", count: 70_000) + "\u{1}\u{2}\u{3}\u{4}") }),
            ]
            for (index, (object, mark)) in marks.enumerated() {
                try make(mark)
                try damage(path, at: index < 3 ? pattern : [1, 2, 3, 4])
                expectError(.checksumMismatch, mentioning: object) { try HDF5File.open(at: path).verify() }
            }
        }
    }

    @Test func damagedTextIsNoticed() throws {
        try withTemporaryDirectory { directory in
            let attribute = directory + "/attribute.h5"
            let file = try HDF5File.create(at: attribute)
            try file.createGroup("g").setAttribute("note", "something peculiar")
            try file.close()
            try damage(attribute, at: Array("peculiar".utf8))
            expectError(.checksumMismatch, mentioning: "g") {
                _ = try HDF5File.open(at: attribute).group("g").attribute("note", as: String.self)
            }
            let text = directory + "/text.h5"
            let other = try HDF5File.create(at: text)
            try other.writeText("json", String(repeating: "x", count: 100_000) + "peculiar")
            try other.close()
            try damage(text, at: Array("peculiar".utf8))
            expectError(.checksumMismatch, mentioning: "json") { _ = try HDF5File.open(at: text).readText("json") }
        }
    }

    @Test func namesThatAreNotThere() throws {
        try withTemporaryDirectory { directory in
            let file = try HDF5File.create(at: directory + "/n.h5")
            try file.writeDataset("model/weight", [1.0])
            try file.writeDataset("model/bias", [1.0])
            try file.createGroup("empty")
            expectError(.missingObject, mentioning: "In model there is: bias, weight.") {
                _ = try file.dataset("model/weigth")
            }
            expectError(.missingObject, mentioning: "In the file there is: empty, model.") {
                _ = try file.dataset("modell/weight")
            }
            expectError(.missingObject, mentioning: "nothing in empty") { _ = try file.group("empty/x") }
            expectError(.missingObject, mentioning: "model/bias is a dataset") { _ = try file.group("model/bias/x") }
            expectError(.missingObject, mentioning: "name") { _ = try file.group("") }
            expectError(.wrongType, mentioning: "group") { _ = try file.dataset("model") }
            expectError(.wrongType, mentioning: "dataset") { _ = try file.group("model/bias") }
            expectError(.wrongType, mentioning: "dataset") { _ = try file.createGroup("model/bias") }
            expectError(.objectExists, mentioning: "model/bias") { try file.writeDataset("model/bias", [2.0]) }
            #expect(try file.contains("model/bias"))
            #expect(try !file.contains("model/bias/x"))
            #expect(try file.dataset("model/bias").read() == [1.0])
        }
    }

    @Test func shapesThatDoNotFit() throws {
        try withTemporaryDirectory { directory in
            let file = try HDF5File.create(at: directory + "/s.h5")
            let dataset = try file.createDataset("x", .float32, shape: [4, 3])
            expectError(.wrongShape, mentioning: "12 elements of float32 take 48 bytes") {
                try dataset.write([1, 2, 3] as [Float])
            }
            expectError(.wrongShape, mentioning: "[4, 3]") { _ = try dataset.read(rows: 3..<5, as: Float.self) }
            expectError(.wrongShape, mentioning: "[1]") {
                _ = try dataset.read(offset: [0], count: [1], as: Float.self)
            }
            expectError(.wrongShape, mentioning: "-1") {
                _ = try dataset.read(offset: [0, 0], count: [-1, 3], as: Float.self)
            }
            expectError(.wrongShape, mentioning: "chunks") {
                try file.createDataset("y", .uint8, shape: [4], layout: .chunks([5]))
            }
            expectError(.wrongShape, mentioning: "[-1]") { try file.createDataset("y", .uint8, shape: [-1]) }
            let single = try file.writeDataset("single", [1.0], shape: [])
            expectError(.wrongShape, mentioning: "no rows") { _ = try single.read(rows: 0..<1, as: Double.self) }
        }
    }

    @Test func textIsNotANumber() throws {
        try withTemporaryDirectory { directory in
            let file = try HDF5File.create(at: directory + "/t.h5")
            try file.writeText("text", "hello")
            expectError(.wrongType, mentioning: "string") { _ = try file.dataset("text").read(as: Float.self) }
            try file.writeDataset("number", [1.0])
            expectError(.wrongType, mentioning: "64-bit floating-point") { _ = try file.readText("number") }
        }
    }

    @Test func aClosedFileSaysSo() throws {
        try withTemporaryDirectory { directory in
            let file = try HDF5File.create(at: directory + "/closed.h5")
            let dataset = try file.writeDataset("x", [1.0])
            let group = try file.createGroup("g")
            try file.close()
            try file.close()
            expectError(.closed, mentioning: "x") { _ = try dataset.read(as: Double.self) }
            expectError(.closed, mentioning: "closed.h5") { _ = try group.names }
            expectError(.closed, mentioning: "closed.h5") { try file.flush() }
        }
    }

    @Test func aDatasetOutlivesItsFile() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/outlived.h5"
            try HDF5File.create(at: path).writeDataset("x", [1.0, 2])
            let dataset = try HDF5File.open(at: path).dataset("x")
            #expect(try dataset.read() == [1.0, 2])
        }
    }
}
