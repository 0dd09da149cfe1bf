import Foundation
import Lightning

/// A text as a sequence of characters: the King James Bible of the Debian packages `bible-kjv` and `bible-kjv-text`, or
/// any text file.
public final class TextData: LightningDataModule, TrainingData, ValidationData, TestData, PredictionData {
    /// Which text, and how it is used.
    public struct Settings: Codable, Sendable, DefaultInitializable {
        /// A UTF-8 text file; the King James Bible when nil.
        public var textFile: String?
        /// The HDF5 file of character numbers made of it.
        public var archive = "data/kjv.h5"
        /// Characters the model sees at once.
        public var context = 128
        /// Windows in a batch: 32 over all ranks by default.
        public var batch = BatchSettings()
        /// The share of the text, at its end, kept for validation and, as much again, for the test.
        public var heldOutShare = 0.05

        /// The defaults.
        public init() {}
    }

    /// How the text is used.
    public let settings: Settings
    /// The distinct Unicode scalars, in the order of their numbers; known after ``prepareData()`` and ``setup(_:)``.
    public private(set) var vocabulary: [Unicode.Scalar] = []
    /// How many distinct characters the model knows; a text with more is an error of ``setup(_:)``.
    public var vocabularyLimit: Int?
    private var parts: [TokenWindowDataset] = []

    /// Data that is fetched and opened by the trainer.
    public init(_ settings: Settings = Settings()) { self.settings = settings }

    /// Makes the archive, unless it was made of the same text before.
    public override func prepareData() throws {
        let bible = "the King James Bible"
        let source = settings.textFile.map { ArchiveSource(files: [$0]) } ?? ArchiveSource(named: bible)
        guard try !source.isIn(archive: settings.archive) else { return }
        let directory = URL(fileURLWithPath: settings.archive).deletingLastPathComponent().path
        if let file = settings.textFile {
            guard source.exists else {
                throw TrainingError("there is no text file '\(file)' (data.textFile)")
            }
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            try TextArchive.convert(textFile: file, to: settings.archive)
        } else {
            let text = try KingJamesBible.text()
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            try TextArchive.convert(text, to: settings.archive, source: bible)
        }
    }

    /// Reads the characters into memory, one byte each.
    public override func setup(_ stage: RunStage) throws {
        guard parts.isEmpty else { return }
        let file = try HDF5File.open(at: settings.archive)
        let tokens = try file.tensor("tokens")
        vocabulary = Array(try file.dataset("tokens").attribute("vocabulary", as: String.self).unicodeScalars)
        if let limit = vocabularyLimit, vocabulary.count > limit {
            let text = settings.textFile ?? "the King James Bible"
            throw TrainingError(
                "model.vocabularySize \(limit) is too small: \(text) has \(vocabulary.count) different characters")
        }
        let count = tokens.elementCount
        let heldOut = Int(Double(count) * settings.heldOutShare)
        guard heldOut > settings.context, count - 2 * heldOut > settings.context else {
            throw TrainingError(
                "data: \(count) characters are too few for a context of \(settings.context) and a held-out share of \(settings.heldOutShare)"
            )
        }
        let ends = [count - 2 * heldOut, count - heldOut, count]
        parts = [0..<ends[0], ends[0]..<ends[1], ends[1]..<ends[2]].map {
            TokenWindowDataset(tokens[$0], context: settings.context)
        }
    }

    private func loader(_ part: Int) throws -> DataLoader<LabeledBatch> {
        try DataLoader(parts[part], batchSize: settings.batch.size(orGlobal: 32))
    }

    /// The beginning of the text.
    public func trainDataLoader() throws -> DataLoader<LabeledBatch> { try loader(0) }
    /// A later part.
    public func validationDataLoader() throws -> DataLoader<LabeledBatch> { try loader(1) }
    /// The end.
    public func testDataLoader() throws -> DataLoader<LabeledBatch> { try loader(2) }
    /// The end.
    public func predictDataLoader() throws -> DataLoader<LabeledBatch> { try loader(2) }
}
