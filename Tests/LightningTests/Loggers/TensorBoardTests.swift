import Foundation
import Lightning
import TestSupport
import Testing

/// The event file is the one that TensorBoard's reader read, whose words are kept in `events.json`.
struct TensorBoardTests {
    private static let yaml = "rate: 0.001\nhidden: 128\nnested:\n  names: [a, 'true', '5']\n  on: true\n"
    private static let picture = (0..<60).map { UInt8($0 * 4) }
    private static let spread = (0..<200).map { Double($0 * $0 % 37) / 4 - 3 }
    private static let values: [(Int, [(String, Double)])] = [
        (50, [("train_loss_step", 2.3025851249694824), ("lr", 1e-3)]), (100, [("train_loss_step", -0.0)]),
        (100, [("val/acc é", 0.75), ("train_loss_epoch", 1e30)]), (1 << 40, [("val/acc é", 0.8125)]),
    ]

    private func write(_ directory: String) throws -> String {
        var now = 1_700_000_000.0
        let logger = TensorBoardLogger(directory: directory) {
            now += 0.25
            return now
        }
        try logger.logHyperparameters(Self.yaml)
        for (step, values) in Self.values {
            try logger.log(
                MetricRecord(
                    epoch: 0, batch: step, step: step, samples: step, seconds: 1,
                    values: values.map { (name: $0.0, value: $0.1) }))
        }
        try logger.logImage("grey", Tensor(Self.picture, shape: [6, 10]), step: 3)
        try logger.logImage("colour", Tensor(Self.picture.map { Float($0) / 255 }, shape: [3, 4, 5]), step: 4)
        try logger.logHistogram("weights", Tensor(Self.spread), step: 5, buckets: 7)
        try logger.logHistogram("constant", Tensor([2.5, 2.5, .nan]), step: 6)
        try logger.logText("notes", "# A title\n\nmärkdown", step: 7)
        try logger.finalize("finished")
        let names = try FileManager.default.contentsOfDirectory(atPath: directory)
        try #require(names.count == 1 && names[0].contains(".tfevents."))
        return directory + "/" + names[0]
    }

    private func golden(_ name: String) throws -> Data {
        try Data(contentsOf: Bundle.module.bundleURL.appendingPathComponent("Golden/\(name)"))
    }

    @Test func theFileIsTheOneThatWasReadBack() throws {
        let scratch = try ScratchDirectory()
        let path = try write(scratch.path)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        guard bytes != (try? golden("events.tfevents")) else { return }
        let copy = FileManager.default.temporaryDirectory.appendingPathComponent("events.tfevents")
        try bytes.write(to: copy)
        Issue.record(
            "other bytes, kept as \(copy.path): read them with Tests/Scripts/read_events.py before they are golden")
    }

    @Test func whatWasReadBackIsWhatIsWritten() throws {
        let found = try JSONDecoder().decode(Reading.self, from: golden("events.json"))
        var scalars: [String: [[Double]]] = [:]
        for (step, values) in Self.values {
            for (name, value) in values {
                scalars[name, default: []].append([Double(step), Double(Float(value))])
            }
        }
        #expect(found.scalars.mapValues { $0.map { Array($0.dropFirst()).map(\.value) } } == scalars)
        let colours = (0..<20).flatMap { pixel in (0..<3).map { Self.picture[$0 * 20 + pixel] } }
        #expect(found.images["grey"] == [Picture(numbers: [3, 10, 6], mode: "L", pixels: Self.picture)])
        #expect(found.images["colour"] == [Picture(numbers: [4, 5, 4], mode: "RGB", pixels: colours)])
        #expect(
            Set(found.images.keys) == ["grey", "colour"] && found.texts == ["notes": [["7", "# A title\n\nmärkdown"]]])
        let weights = try #require(found.histograms["weights"]?.first)
        #expect(weights.counts.reduce(0, +) == 200 && weights.limits.count == 7)
        for (index, limit) in weights.limits.enumerated() {
            let below = index == 0 ? -Double.infinity : weights.limits[index - 1]
            let wanted = Self.spread.count { ($0 >= below && $0 < limit) || (index == 6 && $0 == limit) }
            #expect(weights.counts[index] == Double(wanted), "bucket \(index)")
        }
        #expect(
            weights.numbers == [
                Self.spread.min() ?? 0, Self.spread.max() ?? 0, 200, Self.spread.reduce(0, +),
                Self.spread.reduce(0) { $0 + $1 * $1 },
            ])
        #expect(found.histograms["constant"]?.first?.counts == [2])
        let start = found.hparams["_hparams_/session_start_info"]?["hparams"] ?? [:]
        #expect(
            start == [
                "rate": 0.001, "hidden": 128, "nested.names.0": "a", "nested.names.1": "true",
                "nested.names.2": "5", "nested.on": true,
            ])
    }

    @Test func anIndependentReaderFindsTheSame() throws {
        let file = try EventFile(write(try ScratchDirectory().path))
        #expect(file.version == "brain.Event:2" && file.records == 12)
        let wanted = Self.values.flatMap { step, values in
            values.map { EventFile.Scalar(name: $0.0, step: step, value: Float($0.1)) }
        }
        #expect(file.scalars == wanted)
    }

    // MARK: - What the script says

    private struct Reading: Decodable {
        var scalars: [String: [[Loose]]]
        var images: [String: [Picture]]
        var histograms: [String: [Spread]]
        var texts: [String: [[String]]]
        var hparams: [String: [String: [String: Loose]]]

        private enum CodingKeys: CodingKey { case scalars, images, histograms, texts, hparams }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            scalars = try container.decode([String: [[Loose]]].self, forKey: .scalars)
            images = try container.decode([String: [Picture]].self, forKey: .images)
            histograms = try container.decode([String: [Spread]].self, forKey: .histograms)
            texts = try container.decode([String: [[Loose]]].self, forKey: .texts).mapValues {
                $0.map { $0.map(\.text) }
            }
            let plugins = try container.decode([String: Start].self, forKey: .hparams)
            hparams = plugins.compactMapValues { $0.hparams.map { ["hparams": $0] } }
        }
    }

    private struct Start: Decodable { var hparams: [String: Loose]? }

    private struct Picture: Decodable, Equatable {
        /// Step, width and height.
        var numbers: [Int]
        var mode: String
        var pixels: [UInt8]

        init(numbers: [Int], mode: String, pixels: [UInt8]) {
            (self.numbers, self.mode, self.pixels) = (numbers, mode, pixels)
        }

        init(from decoder: any Decoder) throws {
            var container = try decoder.unkeyedContainer()
            numbers = try (0..<3).map { _ in try container.decode(Int.self) }
            mode = try container.decode(String.self)
            pixels = try container.decode([UInt8].self)
        }
    }

    private struct Spread: Decodable {
        var numbers: [Double]
        var limits: [Double]
        var counts: [Double]

        init(from decoder: any Decoder) throws {
            var container = try decoder.unkeyedContainer()
            _ = try container.decode(Int.self)
            numbers = try container.decode([Double].self)
            limits = try container.decode([Double].self)
            counts = try container.decode([Double].self)
        }
    }

    /// A number, a truth or a text.
    private enum Loose: Decodable, Equatable, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral,
        ExpressibleByStringLiteral, ExpressibleByBooleanLiteral
    {
        case number(Double)
        case text(String)
        case truth(Bool)

        init(floatLiteral value: Double) { self = .number(value) }
        init(integerLiteral value: Int) { self = .number(Double(value)) }
        init(stringLiteral value: String) { self = .text(value) }
        init(booleanLiteral value: Bool) { self = .truth(value) }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let truth = try? container.decode(Bool.self) {
                self = .truth(truth)
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }

        var value: Double { if case .number(let number) = self { number } else { .nan } }
        var text: String {
            switch self {
            case .number(let number): "\(Int(number))"
            case .text(let text): text
            case .truth(let truth): "\(truth)"
            }
        }
    }
}
