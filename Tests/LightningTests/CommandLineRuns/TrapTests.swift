import TestSupport
import Testing

/// What a user sees of a misuse that traps: a model for images of 16 pixels, and digits of 8.
@Suite(.serialized) struct TrapTests {
    private static let message = "Fatal error: linear: float32 [30, 64] with weight float32 [16, 256]"

    private let scratch: ScratchDirectory
    private let configuration: String

    init() throws {
        scratch = try ScratchDirectory()
        configuration = scratch.file("digits.yaml")
        let text = """
            experiment: digits
            model:
              imageSize: 16
              channels: [4, 4]
              hidden: 16
            trainer:
              sanityValidationBatches: 0
              enableModelSummary: false
              enableProgressBar: false
              defaultRootDir: \(scratch.file("runs"))
            """
        try text.write(toFile: configuration, atomically: true, encoding: .utf8)
    }

    /// A run with 30 samples a rank and step; an empty variable is one that is not there.
    private func fit(ranks: Int, backtrace: String = "") throws -> MPIRun {
        try MPIRun(
            "lightning", ["fit", "--config", configuration, "data.batch.global=\(30 * max(ranks, 1))"], ranks: ranks,
            limit: 120, environment: ["SWIFT_BACKTRACE": backtrace])
    }

    @Test func theMessageIsTheLastLine() throws {
        let run = try fit(ranks: 0)
        #expect([132, 133].contains(run.status), "\(run.output)")
        let lines = run.output.split(separator: "\n").suffix(2)
        #expect(lines.first?.hasPrefix("note: with SWIFT_BACKTRACE=enable=yes ") == true, "\(run.output)")
        #expect(lines.last?.hasSuffix(Self.message) == true, "\(run.output)")
    }

    /// The other rank may be ended before it speaks; what `mpirun` says comes last.
    @Test func manyRanksEndWithoutTraces() throws {
        let run = try fit(ranks: 2)
        #expect([132, 133].contains(run.status) && !run.timedOut, "\(run.output)")
        #expect(run.output.contains(Self.message) && !run.output.contains("crashed"), "\(run.output)")
    }

    @Test func aTraceIsThereForTheAsking() throws {
        let run = try fit(ranks: 0, backtrace: "enable=yes")
        #expect([132, 133].contains(run.status), "\(run.output)")
        let output = run.output
        #expect(output.contains(Self.message) && !output.contains("note: with SWIFT_BACKTRACE"), "\(output)")
        #expect(output.contains("crashed") && output.contains("ImageClassifier.callAsFunction"), "\(output)")
    }
}
