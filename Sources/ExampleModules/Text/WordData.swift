import Foundation
import Lightning

/// A text as a sequence of words in three parts: WikiText-2 from its files, or the King James Bible.
///
/// Words are numbered by the training part alone; the others' own are unknown.
public final class WordData: LightningDataModule, TrainingData, ValidationData, TestData, PredictionData {
    /// Which text, and how it is used.
    public struct Settings: Codable, Sendable, DefaultInitializable {
        /// The directory of WikiText-2's three files, in one of the forms it is distributed in; the King James Bible of
        /// the Debian packages `bible-kjv` and `bible-kjv-text` when nil.
        public var directory: String?
        /// Words the model sees at once.
        public var blockSize = 35
        /// Windows in a batch: 32 over all ranks by default.
        public var batch = BatchSettings()
        /// Words that occur less often in the training part are unknown; three is what WikiText-2 was made with.
        public var minimumCount = 3
        /// The share of the Bible, at its end, kept for validation and, as much again, for the test.
        public var heldOutShare = 0.05

        /// The defaults.
        public init() {}
    }

    /// How the text is used.
    public let settings: Settings
    /// The words; known after ``setup(_:)``.
    public private(set) var vocabulary = WordVocabulary("")
    private var parts: [WikiText2] = []

    /// Data that is opened by the trainer.
    public init(_ settings: Settings = Settings()) { self.settings = settings }

    /// Reads the text and numbers its words.
    public override func setup(_ stage: RunStage) throws {
        guard parts.isEmpty else { return }
        let texts = try settings.directory.map(filesOfWikiText) ?? partsOfBible()
        vocabulary = WordVocabulary(texts[0], minimumCount: settings.minimumCount).withUnknown
        parts = try texts.map { try WikiText2(text: $0, vocabulary: vocabulary, blockSize: settings.blockSize) }
    }

    private func filesOfWikiText(_ directory: String) throws -> [String] {
        let forms = ["wiki.*.tokens", "wiki.*.raw", "*.txt"]
        let paths = forms.map { form in
            ["train", "valid", "test"].map { "\(directory)/\(form.replacing("*", with: $0))" }
        }
        guard let found = paths.first(where: { $0.allSatisfy(FileManager.default.fileExists(atPath:)) }) else {
            throw TrainingError(
                "WikiText-2 is not in '\(directory)' (data.directory): there must be \(forms.joined(separator: " or ")), with train, valid and test in place of the star"
            )
        }
        return try found.map(wordsOfFile)
    }

    private func partsOfBible() throws -> [String] {
        let lines = try wordsOfBible().split(separator: "\n", omittingEmptySubsequences: false)
        let heldOut = Int(Double(lines.count) * settings.heldOutShare)
        guard heldOut > 0, lines.count > 2 * heldOut else {
            throw TrainingError("data.heldOutShare is \(settings.heldOutShare); it lies between 0 and 0.5")
        }
        let ends = [0, lines.count - 2 * heldOut, lines.count - heldOut, lines.count]
        return zip(ends, ends.dropFirst()).map { lines[$0..<$1].joined(separator: "\n") }
    }

    private func loader(_ part: Int) throws -> DataLoader<LabeledBatch> {
        try DataLoader(parts[part], batchSize: settings.batch.size(orGlobal: 32))
    }

    /// The training part.
    public func trainDataLoader() throws -> DataLoader<LabeledBatch> { try loader(0) }
    /// The validation part.
    public func validationDataLoader() throws -> DataLoader<LabeledBatch> { try loader(1) }
    /// The test part.
    public func testDataLoader() throws -> DataLoader<LabeledBatch> { try loader(2) }
    /// The test part.
    public func predictDataLoader() throws -> DataLoader<LabeledBatch> { try loader(2) }
}
