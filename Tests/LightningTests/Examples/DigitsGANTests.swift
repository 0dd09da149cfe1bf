import ExampleModules
import Foundation
import Lightning
import TestSupport
import Testing

/// The document's adversarial networks.
@Suite(.serialized) struct DigitsGANTests {
    /// What is drawn comes to look like digits, on the whole.
    @Test func drawnImagesApproachRealOnes() throws {
        let scratch = try ScratchDirectory()
        var configuration = Trainer.Configuration()
        (configuration.maxEpochs, configuration.seed, configuration.threads) = (8, 3, 1)
        (configuration.enableProgressBar, configuration.enableModelSummary) = (false, false)
        configuration.defaultRootDir = scratch.path
        let trainer = try Trainer(configuration: configuration)
        let module = RandomContext.$current.withValue(RandomContext(seed: 3)) { DigitsGAN(.init()) }
        let data = try DigitsData()
        let before = try #require(try trainer.validate(module, data: data)["val_distance"])
        try trainer.fit(module, data: data)
        let after = try #require(try trainer.validate(module, data: data)["val_distance"])
        print("the mean drawn image is \(before), then \(after) away from the mean digit")
        #expect(after < before / 2)
        // Twenty batches of 1,257 digits: two updates each, one of each optimizer.
        #expect(trainer.lightningOptimizers.map(\.updateCount) == [160, 160] && trainer.globalStep == 320)
        #expect(trainer.progress.batch == 160)
        let images = module(try #require(module.exampleInputArray))
        #expect(images.shape == Shape([64, 64]))
        #expect(images.doubles.allSatisfy { $0 >= 0 && $0 <= 1 })
    }

    /// The shipped configuration, on two ranks.
    @Test func trainsFromTheCommandLine() throws {
        let scratch = try ScratchDirectory()
        let run = try MPIRun(
            "lightning",
            [
                "fit", "--config", repository + "/configs/digits-gan.yaml", "--json", "trainer.maxEpochs=1",
                "trainer.enableProgressBar=false", "trainer.defaultRootDir=\(scratch.path)",
            ], ranks: 2, limit: 60)
        #expect(run.status == 0 && run.output.contains("\"val_distance\""), "\(run.output)")
        let directory = scratch.file("version_0/images")
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["epoch_0001.png"])
        let picture = try GreyPicture(directory + "/epoch_0001.png")
        // Eight times eight digits of eight pixels and a dark line, four times as large.
        #expect(picture.width == 288 && picture.height == 288)
        let rows = (0..<288).map { row in picture.pixels[row * 288..<(row + 1) * 288] }
        #expect(Set(picture.pixels).count > 50)
        #expect(
            rows.enumerated().filter { $0.element.allSatisfy { $0 == 0 } }.map { $0.offset % 36 / 4 }.allSatisfy {
                $0 == 8
            })
        for digit in 0..<64 {
            let (top, left) = (digit / 8 * 36, digit % 8 * 36)
            let own = rows[top..<(top + 32)].map { $0.dropFirst(left).prefix(32) }
            #expect(Set(own.joined()).count > 5, "digit \(digit)")
        }
        // Each pixel is a square of four by four.
        #expect(
            stride(from: 0, to: 288, by: 4).allSatisfy { row in
                (1..<4).allSatisfy { rows[row + $0].elementsEqual(rows[row]) }
            })
    }

    @Test func nothingIsDrawnWithoutADirectory() throws {
        let scratch = try ScratchDirectory()
        let trainer = try Trainer(fastDevRun: 2, defaultRootDir: scratch.path)
        try trainer.fit(DigitsGAN(.init()), data: DigitsData())
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
    }
}

/// A grey picture in a PNG file without compression, read back part by part.
private struct GreyPicture {
    let width: Int
    let height: Int
    let pixels: [UInt8]

    init(_ path: String) throws {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        func number(_ place: Int) -> Int { bytes[place..<(place + 4)].reduce(0) { $0 << 8 | Int($1) } }
        var (place, header, stream): (Int, [Int], [UInt8]) = (8, [], [])
        while place < bytes.count {
            let length = number(place)
            switch String(decoding: bytes[(place + 4)..<(place + 8)], as: UTF8.self) {
            case "IHDR":
                header = [number(place + 8), number(place + 12)] + bytes[(place + 16)..<(place + 18)].map(Int.init)
            case "IDAT": stream += bytes[(place + 8)..<(place + 8 + length)]
            default: break
            }
            place += length + 12
        }
        try #require(header.count == 4 && header[2] == 8 && header[3] == 0, "not a grey picture of bytes")
        // Stored blocks: whether it is the last, the length twice, the bytes.
        var (rows, at, isLast): ([UInt8], Int, Bool) = ([], 2, false)
        while !isLast {
            isLast = stream[at] == 1
            let length = Int(stream[at + 1]) | Int(stream[at + 2]) << 8
            rows += stream[(at + 5)..<(at + 5 + length)]
            at += 5 + length
        }
        (width, height) = (header[0], header[1])
        let stride = width + 1
        try #require(rows.count == height * stride)
        pixels = (0..<(height * stride)).filter { $0 % stride > 0 }.map { rows[$0] }
    }
}
