import Foundation
import Lightning

/// A text as windows of words and of the words that follow them: the data set of the document's samples.
///
/// As the demo `WikiText2` of PyTorch Lightning, but for its end: there the last whole window is left out.
public struct WikiText2: Dataset {
    /// The words and their numbers.
    public let vocabulary: WordVocabulary
    private let windows: TokenWindowDataset

    /// The windows of a text.
    ///
    /// - Parameters:
    ///   - text: The words, with white space between them.
    ///   - vocabulary: Their numbers; by default those of the text itself.
    ///   - blockSize: Words in a window.
    /// - Throws: `TrainingError` when the text is shorter than a window.
    public init(text: String, vocabulary: WordVocabulary? = nil, blockSize: Int = 35) throws {
        let known = vocabulary?.withUnknown ?? WordVocabulary(text)
        let numbers = known.numbers(of: text)
        guard numbers.count > blockSize else {
            throw TrainingError(
                "\(numbers.count) words are too few for windows of \(blockSize) and the word after them")
        }
        self.vocabulary = known
        windows = TokenWindowDataset(Tensor(numbers), context: blockSize)
    }

    /// The windows of a text file, such as `wiki.train.tokens` of WikiText-2.
    ///
    /// - Parameters:
    ///   - path: A file in UTF-8; by default the King James Bible of the Debian packages `bible-kjv` and
    ///     `bible-kjv-text`, with spaces around punctuation as in WikiText.
    ///   - blockSize: Words in a window.
    public init(path: String? = nil, blockSize: Int = 35) throws {
        try self.init(text: try path.map(wordsOfFile) ?? wordsOfBible(), blockSize: blockSize)
    }

    /// Distinct words.
    public var vocabularySize: Int { vocabulary.words.count }
    /// Windows.
    public var count: Int { windows.count }
    /// True.
    public var isInMemory: Bool { true }
    /// `[windows, blockSize]` of words and of the words one further, as `int64`.
    public func batch(at indices: [Int]) -> LabeledBatch { windows.batch(at: indices) }
}

/// The text of a file.
func wordsOfFile(_ path: String) throws -> String {
    guard let bytes = FileManager.default.contents(atPath: path) else {
        throw TrainingError("there is no text file '\(path)'")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
        throw TrainingError("the text file '\(path)' is not encoded in UTF-8; convert it first, with iconv")
    }
    return text
}

/// The King James Bible, a verse or heading to a line, with spaces around punctuation.
func wordsOfBible() throws -> String { separatingPunctuation(try KingJamesBible.text()) }

/// A text with spaces around each character that belongs to no word: `said, Let` becomes `said , Let`.
///
/// Apostrophes and hyphens stay in their words.
func separatingPunctuation(_ text: String) -> String {
    var spaced = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        guard !belongsToText(scalar) else {
            spaced.append(scalar)
            continue
        }
        for part in [" ", scalar, " "] as [Unicode.Scalar] { spaced.append(part) }
    }
    return String(spaced)
}

/// Whether a character is part of a word, or white space.
private func belongsToText(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", " ", "\n", "'", "-": true
    default: scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar.properties.isWhitespace
    }
}
