import DataLoading
import Foundation
import HDF5
import Testing

/// The bytes of an IDX file.
func idx(_ shape: [Int], _ values: [UInt8], type: UInt8 = 8) -> [UInt8] {
    let lengths = shape.flatMap { length in (0..<4).map { UInt8(length >> (24 - 8 * $0) & 0xFF) } }
    return [0, 0, type, UInt8(shape.count)] + lengths + values
}

/// Expects an `ArchiveError` whose message contains all of some texts.
func expectArchiveError(
    mentioning texts: String..., sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) {
    do {
        try body()
        Issue.record("nothing was thrown", sourceLocation: sourceLocation)
    } catch let error as ArchiveError {
        for text in texts {
            #expect(error.description.contains(text), "\(error)", sourceLocation: sourceLocation)
        }
    } catch {
        Issue.record("another error was thrown: \(error)", sourceLocation: sourceLocation)
    }
}

struct GZipTests {
    /// Compresses with the program `gzip`, so that the reader is not its own judge.
    private func compressed(_ bytes: [UInt8], in directory: String) throws -> [UInt8] {
        let path = directory + "/plain"
        try write(bytes, to: path)
        try execute("gzip", ["-kf", path])
        return try contents(of: path + ".gz")
    }

    @Test(arguments: [0, 1, 1000, 1 << 20, (1 << 20) + 1, 3_500_000])
    func roundTrip(length: Int) throws {
        try withTemporaryDirectory { directory in
            for values in [
                (0..<length).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 31 >> 7) },
                [UInt8](repeating: 7, count: length),
            ] {
                let file = try compressed(values, in: directory)
                #expect(try GZip.decompress(contentsOf: directory + "/plain.gz") == values)
                #expect(try GZip.decompress(file + file) == values + values)
                #expect(try GZip.decompress(file + [0, 0, 0, 0]) == values)
            }
        }
    }

    @Test func everyTruncationIsNoticed() throws {
        try withTemporaryDirectory { directory in
            let file = try compressed((0..<500).map { UInt8(truncatingIfNeeded: $0 &* 37) }, in: directory)
            for length in 0..<file.count {
                expectArchiveError(mentioning: "some.gz") {
                    _ = try GZip.decompress(Array(file.prefix(length)), name: "some.gz")
                }
            }
            expectArchiveError(mentioning: "ends early") { _ = try GZip.decompress(Array(file.dropLast())) }
        }
    }

    @Test func damageIsNoticed() throws {
        try withTemporaryDirectory { directory in
            var file = try compressed((0..<500).map { UInt8(truncatingIfNeeded: $0 &* 37) }, in: directory)
            file[file.count - 6] ^= 1
            expectArchiveError(mentioning: "damaged", "some.gz") { _ = try GZip.decompress(file, name: "some.gz") }
            expectArchiveError(mentioning: "not a gzip file") { _ = try GZip.decompress(Array("hello".utf8)) }
            expectArchiveError(mentioning: "no such file", "nowhere.gz") {
                _ = try GZip.decompress(contentsOf: directory + "/nowhere.gz")
            }
        }
    }
}

struct IDXFileTests {
    @Test func plainAndCompressed() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/images"
            let values = (0..<24).map { UInt8($0) }
            try write(idx([2, 3, 4], values), to: path)
            try execute("gzip", ["-k", path])
            for name in [path, path + ".gz"] {
                let file = try IDXFile(contentsOf: name)
                #expect(file.shape == [2, 3, 4])
                #expect(file.values == values)
            }
            #expect(try IDXFile(idx([0, 3], [])).shape == [0, 3])
        }
    }

    @Test func whatIsWrongIsSaid() {
        expectArchiveError(mentioning: "x.idx", "not an IDX file") { _ = try IDXFile([1, 2, 3, 4], name: "x.idx") }
        expectArchiveError(mentioning: "not an IDX file") { _ = try IDXFile([]) }
        expectArchiveError(mentioning: "type 13") { _ = try IDXFile(idx([1], [1], type: 13)) }
        expectArchiveError(mentioning: "3 dimensions, is not complete") { _ = try IDXFile([0, 0, 8, 3, 0, 0]) }
        expectArchiveError(mentioning: "6 elements, of shape [2, 3], but 5 bytes") {
            _ = try IDXFile(idx([2, 3], [1, 2, 3, 4, 5]))
        }
        expectArchiveError(mentioning: "but 7 bytes") { _ = try IDXFile(idx([2, 3], [1, 2, 3, 4, 5, 6, 7])) }
        expectArchiveError(mentioning: "absurd") {
            _ = try IDXFile(idx([0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF], []))
        }
    }
}

struct ImageArchiveTests {
    @Test func imagesAndLabelsBecomeOneFile() throws {
        try withTemporaryDirectory { directory in
            let values = (0..<5 * 6).map { UInt8($0) }
            try write(idx([5, 2, 3], values), to: directory + "/images")
            try write(idx([5], [9, 8, 7, 6, 5]), to: directory + "/labels")
            let path = directory + "/set.h5"
            for _ in 0..<2 {
                try ImageArchive.convert(images: directory + "/images", labels: directory + "/labels", to: path)
                let file = try HDF5File.open(at: path)
                #expect(try file.dataset("images").shape == [5, 2, 3])
                #expect(try file.dataset("images").read(as: UInt8.self) == values)
                #expect(try file.dataset("labels").read(as: UInt8.self) == [9, 8, 7, 6, 5])
            }
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: directory).sorted() == [
                    "images", "labels", "set.h5",
                ])
        }
    }

    @Test func whatWasThereStaysWhenSomethingIsWrong() throws {
        try withTemporaryDirectory { directory in
            try write(idx([2, 1, 1], [1, 2]), to: directory + "/images")
            try write(idx([3], [1, 2, 3]), to: directory + "/labels")
            let path = directory + "/set.h5"
            try write([42], to: path)
            expectArchiveError(mentioning: "3 labels for 2 images") {
                try ImageArchive.convert(images: directory + "/images", labels: directory + "/labels", to: path)
            }
            expectArchiveError(mentioning: "3 dimensions", "labels") {
                try ImageArchive.convert(images: directory + "/labels", labels: directory + "/labels", to: path)
            }
            #expect(try contents(of: path) == [42])
            try write(idx([2], [1, 2]), to: directory + "/labels")
            #expect(throws: HDF5Error.self) {
                try ImageArchive.convert(
                    images: directory + "/images", labels: directory + "/labels", to: directory + "/no/set.h5")
            }
        }
    }

    /// An archive is made anew when its source is another one, or has changed, and only then.
    @Test func archivesKnowTheirSource() throws {
        try withTemporaryDirectory { directory in
            let (images, labels, path) = (directory + "/images", directory + "/labels", directory + "/set.h5")
            try write(idx([2, 1, 1], [1, 2]), to: images)
            try write(idx([2], [1, 2]), to: labels)
            func isCurrent(_ files: [String]) throws -> Bool { try ArchiveSource(files: files).isIn(archive: path) }
            #expect(try !isCurrent([images, labels]))
            try ImageArchive.convert(images: images, labels: labels, to: path)
            #expect(try isCurrent([images, labels]))
            #expect(try !isCurrent([images, directory + "/others"]) && !isCurrent([images]))
            #expect(try !ArchiveSource(named: images).isIn(archive: path))
            // The same bytes written later, then bytes of another length with the time of the first.
            let attributes = try FileManager.default.attributesOfItem(atPath: labels)
            let date = try #require(attributes[.modificationDate] as? Date)
            try FileManager.default.setAttributes([.modificationDate: date + 1], ofItemAtPath: labels)
            #expect(try !isCurrent([images, labels]))
            try ImageArchive.convert(images: images, labels: labels, to: path)
            #expect(try isCurrent([images, labels]))
            try write(idx([3], [1, 2, 3]), to: labels)
            try FileManager.default.setAttributes([.modificationDate: date + 1], ofItemAtPath: labels)
            #expect(try !isCurrent([images, labels]))
            // Without its source an archive is kept, if it was made of files of these names.
            try FileManager.default.removeItem(atPath: labels)
            #expect(try isCurrent([images, labels]) && !isCurrent([images, directory + "/others"]))
            // A damaged archive is made anew if it can be.
            try write([1, 2, 3], to: path)
            #expect(throws: HDF5Error.self) { try isCurrent([images, labels]) }
            try write(idx([2], [1, 2]), to: labels)
            #expect(try !isCurrent([images, labels]))
            // One without a note, of an older version.
            try HDF5File.create(at: path, replacing: true).close()
            #expect(try !isCurrent([images, labels]))
        }
    }

    /// Two replacements at once, of the same file, have temporary files of their own, and the last one stays.
    @Test func replacementsDoNotMeet() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/file"
            var names: [String] = []
            try replaceFile(at: path) { outer in
                try write([1, 2], to: outer)
                try replaceFile(at: path) { inner in
                    names = [outer, inner]
                    try write([3], to: inner)
                }
                #expect(try contents(of: path) == [3] && contents(of: outer) == [1, 2])
            }
            #expect(try contents(of: path) == [1, 2])
            // Nodes that share a directory may have processes of the same number.
            var node = utsname()
            #expect(uname(&node) == 0)
            let host = withUnsafeBytes(of: node.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            #expect(names.count == 2 && names.allSatisfy { $0.hasSuffix("@\(host).partial") }, "\(names)")
            #expect(Set(names).count == 2 && names.allSatisfy { $0.contains("/file.\(getpid())-") }, "\(names)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["file"])
        }
    }

    static let fashion = "/usr/share/datasets/fashion-mnist"

    /// Debian's package dataset-fashion-mnist.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: fashion), "dataset-fashion-mnist is not installed"))
    func fashionMNIST() throws {
        try withTemporaryDirectory { directory in
            for (name, count) in [("train", 60_000), ("t10k", 10_000)] {
                let path = "\(directory)/\(name).h5"
                try ImageArchive.convert(
                    images: "\(Self.fashion)/\(name)-images-idx3-ubyte.gz",
                    labels: "\(Self.fashion)/\(name)-labels-idx1-ubyte.gz", to: path)
                let file = try HDF5File.open(at: path)
                let images = try file.dataset("images")
                #expect(images.shape == [count, 28, 28])
                let labels = try file.dataset("labels").read(as: UInt8.self)
                #expect((0..<10).allSatisfy { digit in labels.count { $0 == digit } == count / 10 })
                // The mean brightness, as published: 0.2860 of 255 in training.
                let sum = try images.read(as: UInt8.self).reduce(0) { $0 + Int($1) }
                let mean = Double(sum) / Double(count * 784) / 255
                #expect(abs(mean - (name == "train" ? 0.2860 : 0.2868)) < 5e-4)
            }
        }
    }
}
