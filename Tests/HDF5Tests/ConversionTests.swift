import HDF5
import Testing

/// Reading as another type keeps the value or fails; it never clips.
struct ConversionTests {
    @Test func numbersKeepTheirValue() throws {
        try withTemporaryDirectory { directory in
            let file = try HDF5File.create(at: directory + "/c.h5")
            try file.writeDataset("bytes", [0, 128, 255] as [UInt8])
            try file.writeDataset("reals", [-1.5, 0, .infinity, -.infinity])
            try file.writeDataset("integers", [-3, 0, 1 << 40])
            #expect(try file.dataset("bytes").read(as: Float.self) == [0, 128, 255])
            #expect(try file.dataset("bytes").read(as: Int64.self) == [0, 128, 255])
            #expect(try file.dataset("reals").read(as: Float.self) == [-1.5, 0, .infinity, -.infinity])
            #expect(try file.dataset("integers").read(as: Double.self) == [-3, 0, 1_099_511_627_776])
        }
    }

    @Test func notANumberStaysOne() throws {
        try withTemporaryDirectory { directory in
            let file = try HDF5File.create(at: directory + "/c.h5")
            let dataset = try file.writeDataset("x", [Double.nan])
            #expect(try dataset.read(as: Float.self)[0].isNaN)
            expectError(.valueOutOfRange, mentioning: "x") { _ = try dataset.read(as: Int64.self) }
        }
    }

    @Test func whatDoesNotFitIsAnError() throws {
        try withTemporaryDirectory { directory in
            let file = try HDF5File.create(at: directory + "/c.h5")
            try file.writeDataset("integers", [300, -1])
            try file.writeDataset("negative", [-1 as Int32])
            try file.writeDataset("large", [1e300])
            try file.writeDataset("fraction", [0.5])
            expectError(.valueOutOfRange, mentioning: "integers") {
                _ = try file.dataset("integers").read(as: UInt8.self)
            }
            expectError(.valueOutOfRange, mentioning: "negative") {
                _ = try file.dataset("negative").read(as: UInt8.self)
            }
            expectError(.valueOutOfRange, mentioning: "large") { _ = try file.dataset("large").read(as: Float.self) }
            expectError(.valueOutOfRange, mentioning: "fraction") {
                _ = try file.dataset("fraction").read(as: Int64.self)
            }
            let bytes = try file.createDataset("bytes", .uint8, shape: [1])
            expectError(.valueOutOfRange, mentioning: "bytes") { try bytes.write([256]) }
        }
    }
}

/// Expects an `HDF5Error` of a kind whose message contains a text.
func expectError(
    _ kind: HDF5Error.Kind, mentioning text: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
) {
    do {
        try body()
        Issue.record("nothing was thrown", sourceLocation: sourceLocation)
    } catch let error as HDF5Error {
        #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
        #expect(error.description.contains(text), "\(error)", sourceLocation: sourceLocation)
    } catch {
        Issue.record("another error was thrown: \(error)", sourceLocation: sourceLocation)
    }
}
