import Foundation
import Lightning
import TestSupport
import Testing

/// The experiment `gpt` on text files of one's own.
struct TextExperimentTests {
    private let scratch: ScratchDirectory
    private let configuration: String

    init() throws {
        scratch = try ScratchDirectory()
        configuration = scratch.file("text.yaml")
        let yaml = """
            experiment: gpt
            model:
              vocabularySize: 6
              context: 8
              layers: 1
              width: 8
              heads: 2
              sampleLength: 40
              prompt: "e\u{301}"
            data:
              textFile: \(scratch.file("text.txt"))
              archive: \(scratch.file("data/text.h5"))
              context: 8
            trainer:
              maxSteps: 2
              threads: 1
              enableProgressBar: false
              defaultRootDir: \(scratch.file("runs"))
            """
        try yaml.write(toFile: configuration, atomically: true, encoding: .utf8)
        // Five Unicode scalars; the accent is one of its own, also behind an `e`.
        try write("e\u{301}a e b")
    }

    private func write(_ unit: String) throws {
        let text = String(repeating: unit, count: 200)
        try text.write(toFile: scratch.file("text.txt"), atomically: true, encoding: .utf8)
    }

    private func lightning(_ action: String, _ more: [String] = []) throws -> MPIRun {
        try MPIRun("lightning", [action, "--config", configuration] + more, ranks: 0, limit: 120)
    }

    private func vocabulary() throws -> [Unicode.Scalar] {
        let file = try HDF5File.open(at: scratch.file("data/text.h5"))
        return Array(try file.dataset("tokens").attribute("vocabulary", as: String.self).unicodeScalars)
    }

    @Test func aTextWithCombiningMarksIsLearntAndWritten() throws {
        let fitted = try lightning("fit")
        try #require(fitted.status == 0, "\(fitted.output)")
        #expect(try vocabulary() == [" ", "a", "b", "e", "\u{301}"])
        let predicted = try lightning("predict", ["--checkpoint", "last"])
        try #require(predicted.status == 0, "\(predicted.output)")
        let sample = try String(contentsOfFile: scratch.file("runs/version_1/sample.txt"), encoding: .utf8)
        let scalars = Array(sample.unicodeScalars.dropLast())
        #expect(scalars.starts(with: ["e", "\u{301}"]) && scalars.count > 20)
        #expect(Set(scalars).isSubset(of: try vocabulary()))
        let unknown = try lightning("predict", ["--checkpoint", "last", "model.prompt=e\u{302}"])
        #expect(unknown.status == 1 && unknown.output.contains("has characters that are not in the text"))
    }

    @Test func aChangedTextIsReadAnewAndOneTooRichIsAnError() throws {
        #expect(try lightning("fit").status == 0)
        try write("abcdefgh")
        let rich = try lightning("fit")
        let message = "model.vocabularySize 6 is too small: \(scratch.file("text.txt")) has 8 different characters"
        #expect(rich.status == 1 && rich.output.contains(message), "\(rich.output)")
        #expect(String(String.UnicodeScalarView(try vocabulary())) == "abcdefgh")
        let enough = try lightning("fit", ["model.vocabularySize=8"])
        #expect(enough.status == 0, "\(enough.output)")
        let other = try lightning("fit", ["data.textFile=\(scratch.file("other.txt"))"])
        #expect(other.output.contains("there is no text file '\(scratch.file("other.txt"))' (data.textFile)"))
    }
}
