import DataLoading
import Foundation
import Tensors
import Testing

/// Pictures of `Tests/Scripts/make_images.py`, and what Pillow reads in them.
struct ImageTests {
    private struct Golden: Decodable {
        struct Pixels: Decodable {
            let color: [UInt8]
            let gray: [UInt8]
        }
        let width: Int
        let height: Int
        let pictures: [String: Pixels]
    }

    private func folder() throws -> String {
        try #require(Bundle.module.resourceURL).appendingPathComponent("Golden/images").path
    }

    private func golden() throws -> Golden {
        try JSONDecoder().decode(Golden.self, from: Data(contents(of: folder() + "/pictures.json")))
    }

    /// PNG of all kinds and filters, PGM and PPM as bytes and as text.
    @Test func pixelsOfPillow() throws {
        let golden = try golden()
        #expect(golden.pictures.count == 17)
        for (name, pixels) in golden.pictures {
            let image = try PixelImage(contentsOf: folder() + "/" + name)
            #expect(image.width == golden.width && image.height == golden.height, "\(name)")
            #expect(image.converted(to: .color).pixels == pixels.color, "\(name)")
            #expect(image.converted(to: .gray).pixels == pixels.gray, "\(name)")
        }
    }

    @Test func classesOfFolders() throws {
        let golden = try golden()
        let data = try ImageFolderDataset(folder() + "/classes")
        #expect(data.classes == ["ant", "bee", "cat", "dog"] && data.count == 17 && !data.isInMemory)
        let names = data.samples.map { String($0.path.dropFirst(try! folder().count + 1)) }
        #expect(names == names.sorted() && Set(names) == Set(golden.pictures.keys))
        let batch = try data.batch(at: [16, 0])
        #expect(batch.inputs.shape == [2, 3, golden.height, golden.width] && batch.labels.doubles == [3, 0])
        // [height, width, channels] of Pillow, [channels, height, width] here.
        let plane = golden.width * golden.height
        for (row, name) in [names[16], names[0]].enumerated() {
            let pixels = try #require(golden.pictures[name]).color
            let wanted = (0..<3).flatMap { channel in (0..<plane).map { Float(pixels[$0 * 3 + channel]) / 255 } }
            #expect(batch.inputs.select(row).contiguous().array(of: Float.self) == wanted)
        }
        let top = try ImageFolderDataset(folder() + "/classes", channels: .gray) { $0.slice(0..<2, along: 1) }
        #expect(try top.batch(at: [3]).inputs.shape == [1, 1, 2, golden.width])
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "nothing"
        } catch { return "\(error)" }
    }

    @Test func refusals() throws {
        let folder = try folder()
        #expect(
            message { _ = try PixelImage(contentsOf: folder + "/refused/deep.png") }
                == "\(folder)/refused/deep.png: the PNG file has 16 bits a channel; at most 8 are read\n  Convert it to 8 bits."
        )
        #expect(
            message { _ = try PixelImage(contentsOf: folder + "/refused/interlaced.png") }.contains("is interlaced"))
        #expect(message { _ = try PixelImage([0xFF, 0xD8, 0xFF], name: "a.jpg") }.hasPrefix("a.jpg: this is neither"))
        #expect(message { _ = try ImageFolderDataset(folder + "/classes/bee") }.contains("there are no folders"))
        #expect(message { _ = try ImageFolderDataset("/nowhere") } == "/nowhere: there is no such folder")
        try withTemporaryDirectory { directory in
            try FileManager.default.createDirectory(atPath: directory + "/a", withIntermediateDirectories: true)
            #expect(
                message { _ = try ImageFolderDataset(directory) }.contains(
                    "no picture (.png, .pgm or .ppm) for the class 'a'"))
            try write(Array("P2 1 1 255 7".utf8), to: directory + "/a/1.pgm")
            try write(Array("P2 2 1 255 7 8".utf8), to: directory + "/a/2.pgm")
            let data = try ImageFolderDataset(directory)
            #expect(
                message { _ = try data.batch(at: [0, 1]) }.contains(
                    "2.pgm has [3, 1, 2]; pictures of a batch need one size"))
        }
    }

    /// A file that is cut, or of which a byte is another, is an error and never other pixels.
    @Test func damage() throws {
        let file = try contents(of: folder() + "/classes/ant/filters.png")
        let whole = try PixelImage(file)
        for length in 0..<file.count {
            #expect(throws: ArchiveError.self) { try PixelImage(Array(file[0..<length])) }
        }
        for place in file.indices {
            var other = file
            other[place] ^= 0x10
            do {
                #expect(try PixelImage(other) == whole, "byte \(place)")
                Issue.record("byte \(place) does not matter")
            } catch { #expect(error is ArchiveError) }
        }
        #expect(throws: ArchiveError.self) { try PixelImage(Array("P6 2 2 255 abc".utf8)) }
        #expect(throws: ArchiveError.self) { try PixelImage(Array("P2 2 2 255 1 2 3".utf8)) }
        #expect(throws: ArchiveError.self) { try PixelImage(Array("P2 1 1 65535 1".utf8)) }
        let scaled = try PixelImage(Array("P2 2 1 3 1 2".utf8)).pixels
        #expect(scaled == [85, 170])
    }
}
