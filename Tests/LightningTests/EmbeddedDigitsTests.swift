import ExampleModules
import HDF5
import Testing

struct EmbeddedDigitsTests {
    @Test func theDigitsAreInTheProgram() throws {
        let file = try HDF5File.open(image: EmbeddedDigits.file, name: "embedded digits")
        let images = try file.dataset("images")
        #expect(images.shape == [1797, 8, 8])
        #expect(images.elementType == .uint8)
        let pixels = try images.read(as: UInt8.self)
        #expect(pixels.min() == 0)
        #expect(pixels.max() == 16)
        // The first image, a zero, as scikit-learn's documentation prints it.
        #expect(Array(pixels.prefix(16)) == [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0])
        let labels = try file.dataset("labels").read(as: Int.self)
        #expect(Array(labels.prefix(10)) == Array(0..<10))
        let counts = (0..<10).map { digit in labels.filter { $0 == digit }.count }
        #expect(counts == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
        #expect(try file.attribute("licence", as: String.self).hasPrefix("CC BY 4.0"))
        #expect(try file.attribute("citation", as: String.self).contains("Alpaydin"))
    }
}
