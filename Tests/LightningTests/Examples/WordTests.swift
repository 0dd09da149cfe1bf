import ExampleModules
import Foundation
import Lightning
import TestSupport
import Testing

/// Texts as words.
struct WordTests {
    /// What the demo of PyTorch Lightning makes of a text.
    private struct Golden: Decodable {
        let words: [String]
        let numbers: [Int64]
        let windows: [[[Int64]]]
    }

    private func golden(_ name: String) -> URL { Bundle.module.bundleURL.appendingPathComponent("Golden/\(name)") }

    @Test func wordsHaveTheDemosNumbersAndWindows() throws {
        let wanted = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: golden("words.json")))
        let text = try String(contentsOf: golden("words.txt"), encoding: .utf8)
        let vocabulary = WordVocabulary(text)
        #expect(vocabulary.words == wanted.words && vocabulary.numbers(of: text) == wanted.numbers)
        let data = try WikiText2(path: golden("words.txt").path, blockSize: 7)
        #expect(data.vocabularySize == wanted.words.count)
        // Windows follow one another as long as there is a word after them; the demo leaves the last one out.
        #expect(data.count == (wanted.numbers.count - 1) / 7 && data.count >= wanted.windows.count)
        for (index, window) in wanted.windows.enumerated() {
            let batch = data.batch(at: [index])
            #expect([batch.inputs, batch.labels].map { $0.array(of: Int64.self) } == window)
        }
    }

    @Test func rareAndForeignWordsAreUnknown() {
        let vocabulary = WordVocabulary("a b a c b a d", minimumCount: 2)
        #expect(vocabulary.words == ["a", "b", "<unk>", "<eos>"])
        #expect(vocabulary.numbers(of: "c a\n") == [2, 0, 3] && vocabulary.text(of: [2, 0, 3]) == "<unk> a \n")
        // Without rare words there is no number for foreign ones, unless asked for.
        let complete = WordVocabulary("a b")
        #expect(complete.number(of: "c") == nil && complete.withUnknown.numbers(of: "c a") == [3, 0, 2])
    }

    /// The three files of WikiText-2 in each form, and the vocabulary of the first alone.
    @Test(arguments: ["wiki.*.tokens", "wiki.*.raw", "*.txt"]) func filesOfWikiTextAreRead(form: String) throws {
        let scratch = try ScratchDirectory()
        let texts = ["train": "a b c a b c a b\n", "valid": "c b x a\n", "test": "y a a a\n"]
        for (part, text) in texts {
            let path = scratch.file(form.replacing("*", with: part))
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        }
        var settings = WordData.Settings()
        (settings.directory, settings.blockSize, settings.minimumCount, settings.batch.global) = (scratch.path, 4, 1, 9)
        let data = WordData(settings)
        try data.setup(.fit)
        #expect(data.vocabulary.words == ["a", "b", "c", "<eos>", "<unk>"])
        func rows(_ loader: DataLoader<LabeledBatch>) throws -> [[Double]] {
            let sampler = try loader.sampler(shuffledByDefault: false, seed: 0, epoch: 0, shard: Shard())
            let batch = try #require(try loader.batches(of: sampler).next()?.batch)
            return [batch.inputs.doubles, batch.labels.doubles]
        }
        #expect(try rows(data.trainDataLoader()) == [[0, 1, 2, 0, 1, 2, 0, 1], [1, 2, 0, 1, 2, 0, 1, 3]])
        #expect(try rows(data.validationDataLoader()) == [[2, 1, 4, 0], [1, 4, 0, 3]])
        #expect(try rows(data.testDataLoader()) == [[4, 0, 0, 0], [0, 0, 0, 3]])
    }

    @Test func textsThatAreNotThereOrTooShortAreNamed() throws {
        let scratch = try ScratchDirectory()
        var settings = WordData.Settings()
        settings.directory = scratch.path
        let missing = #expect(throws: TrainingError.self) { try WordData(settings).setup(.fit) }
        #expect(
            missing?.description
                == "WikiText-2 is not in '\(scratch.path)' (data.directory): there must be wiki.*.tokens or wiki.*.raw or *.txt, with train, valid and test in place of the star"
        )
        let short = #expect(throws: TrainingError.self) { try WikiText2(text: "a b c", blockSize: 4) }
        #expect(short?.description == "4 words are too few for windows of 4 and the word after them")
        let nowhere = #expect(throws: TrainingError.self) { try WikiText2(path: scratch.file("nowhere")) }
        #expect(nowhere?.description == "there is no text file '\(scratch.file("nowhere"))'")
        try Data([0x61, 0xff]).write(to: URL(fileURLWithPath: scratch.file("latin.txt")))
        let latin = #expect(throws: TrainingError.self) { try WikiText2(path: scratch.file("latin.txt")) }
        #expect(latin?.description.hasSuffix("is not encoded in UTF-8; convert it first, with iconv") == true)
    }

    /// The default text: sentences with their punctuation apart, in three parts.
    @Test func theBibleIsCutIntoWords() throws {
        let data = WordData()
        try data.setup(.fit)
        let first = try data.trainDataLoader()
        let sampler = try first.sampler(shuffledByDefault: false, seed: 0, epoch: 0, shard: Shard())
        let batch = try #require(try first.batches(of: sampler).next()?.batch)
        let text = data.vocabulary.text(of: batch.inputs[0].array(of: Int64.self))
        #expect(text.contains("In the beginning God created the heaven and the earth . \n"), "\(text)")
        let sizes = try [first, data.validationDataLoader(), data.testDataLoader()].map(\.sampleCount)
        #expect(sizes[0] > 8 * (sizes[1] + sizes[2]) / 2 && sizes.allSatisfy { $0 > 1_000 }, "\(sizes)")
        #expect((6_000...9_000).contains(data.vocabulary.words.count), "\(data.vocabulary.words.count) words")
    }
}
