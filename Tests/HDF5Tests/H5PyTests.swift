import HDF5
import Testing

/// Files that h5py writes are read, with strings of variable length and numbers that this module does not write.
struct H5PyTests {
    @Test func attributes() throws {
        let file = try HDF5File.open(image: H5PyFixture.image, name: "made by h5py")
        #expect(try file.attribute("text") == "Grüße 東京")
        #expect(try file.attribute("texts") == ["a", "", "ßß"])
        #expect(try file.attribute("spaces", as: String.self).hasPrefix("padded"))
        #expect(try file.attribute("small") == -7)
        #expect(try file.attribute("half") == 0.5)
        #expect(try file.attribute("shorts") == [1, 65535])
        expectError(.wrongType, mentioning: "enumeration") { _ = try file.attribute("truth", as: Int.self) }
    }

    @Test func datasets() throws {
        let file = try HDF5File.open(image: H5PyFixture.image, name: "made by h5py")
        let half = try file.dataset("half")
        #expect(half.elementType == nil)
        #expect(try half.read(as: Float.self) == [0.5, -2, .infinity, 65504])
        #expect(try file.dataset("large").read(as: Double.self) == [9_223_372_036_854_775_808, 1])
        expectError(.valueOutOfRange, mentioning: "large") { _ = try file.dataset("large").read(as: Int64.self) }
        #expect(try file.dataset("big_endian").read(as: Double.self) == [0, 1, 2, 3])
        expectError(.wrongType, mentioning: "big_endian") { _ = try file.dataset("big_endian").read(as: Int32.self) }
        #expect(try file.readText("fixed") == "fixed")
        expectError(.wrongType, mentioning: "string") { _ = try file.dataset("words").read(as: Float.self) }
        expectError(.wrongType, mentioning: "words") { _ = try file.readText("words") }
        try file.verify()
    }
}
