/// The distinct words of a text and their numbers, in the order in which they come first.
///
/// A word is what stands between white space, and the word ``endOfLine`` follows those of each line, as in the demo
/// `WikiText2` of PyTorch Lightning. Words that Unicode holds to be equal are one word.
public struct WordVocabulary: Sendable {
    /// Stands for the words that have no number.
    public static let unknown = "<unk>"
    /// Stands at the end of a line.
    public static let endOfLine = "<eos>"

    /// The words, in the order of their numbers.
    public private(set) var words: [String] = []
    private var numbers: [String: Int64] = [:]

    /// The words of a text.
    ///
    /// - Parameters:
    ///   - text: The training text: words of other texts alone shall be unknown.
    ///   - minimumCount: Words that occur less often are unknown, and have no number.
    public init(_ text: String, minimumCount: Int = 1) {
        var counts: [String: Int] = [:]
        if minimumCount > 1 { forEachWord(in: text) { counts[$0, default: 0] += 1 } }
        forEachWord(in: text) { word in
            let isRare = minimumCount > 1 && word != Self.endOfLine && counts[word, default: 0] < minimumCount
            add(isRare ? Self.unknown : word)
        }
    }

    private mutating func add(_ word: String) {
        guard numbers[word] == nil else { return }
        numbers[word] = Int64(words.count)
        words.append(word)
    }

    /// A vocabulary that has a number for words that are not in it: what other texts than the training text need.
    public var withUnknown: WordVocabulary {
        var larger = self
        larger.add(Self.unknown)
        return larger
    }

    /// The number of a word; nil when it has none, and unknown words have none either.
    public func number(of word: String) -> Int64? { numbers[word] ?? numbers[Self.unknown] }

    /// The numbers of the words of a text.
    ///
    /// - Precondition: the vocabulary knows all of them, or is ``withUnknown``.
    public func numbers(of text: String) -> [Int64] {
        var found: [Int64] = []
        forEachWord(in: text) { word in
            guard let number = number(of: word) else { fatalError("the word '\(word)' has no number") }
            found.append(number)
        }
        return found
    }

    /// The words of some numbers, as text.
    public func text(of numbers: some Sequence<Int64>) -> String {
        numbers.map { words[Int($0)] }.map { $0 == Self.endOfLine ? "\n" : $0 + " " }.joined()
    }
}

/// Calls a function with each word of a text, and with `<eos>` at the end of each line.
private func forEachWord(in text: String, _ body: (String) -> Void) {
    let scalars = text.unicodeScalars
    var (wordStart, lineStart): (String.Index?, String.Index) = (nil, scalars.startIndex)
    func endWord(at end: String.Index) {
        if let start = wordStart { body(String(scalars[start..<end])) }
        wordStart = nil
    }
    var index = scalars.startIndex
    while index < scalars.endIndex {
        let scalar = scalars[index], next = scalars.index(after: index)
        // `\r\n` is one end of a line, and so is `\r` alone.
        let isReturnBeforeNewline = scalar == "\r" && next < scalars.endIndex && scalars[next] == "\n"
        if scalar == "\n" || (scalar == "\r" && !isReturnBeforeNewline) {
            endWord(at: index)
            body(WordVocabulary.endOfLine)
            lineStart = next
        } else if isSpace(scalar) {
            endWord(at: index)
        } else if wordStart == nil {
            wordStart = index
        }
        index = next
    }
    endWord(at: scalars.endIndex)
    if lineStart < scalars.endIndex { body(WordVocabulary.endOfLine) }
}

/// White space as Python splits at it: that of Unicode and four control characters.
private func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar.isASCII
        ? scalar.value == 0x20 || (0x09...0x0d ~= scalar.value) || (0x1c...0x1f ~= scalar.value)
        : scalar.properties.isWhitespace
}
