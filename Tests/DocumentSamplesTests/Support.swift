import DocumentSamples
import ExampleModules
import Foundation
import Lightning
import TestSupport
import Testing

/// Everything random in `body` follows from the seed, as it does under a trainer with that seed.
func seeded<Result>(_ seed: UInt64 = 11, _ body: () throws -> Result) rethrows -> Result {
    try RandomContext.$current.withValue(RandomContext(seed: seed), operation: body)
}

extension ScratchDirectory {
    /// A trainer of few words that keeps its runs here.
    func trainer(_ change: (inout Trainer.Configuration) -> Void = { _ in }) throws -> Trainer {
        var configuration = Trainer.Configuration()
        (configuration.maxEpochs, configuration.seed) = (1, 11)
        (configuration.enableProgressBar, configuration.enableModelSummary) = (false, false)
        configuration.defaultRootDir = path
        change(&configuration)
        return try Trainer(configuration: configuration)
    }
}

/// Trains a module where everything random follows from the seed: the trainers of all tests share one context otherwise.
func fitSeeded<M: TrainableModule>(
    _ module: M, train: DataLoader<M.TrainingBatch>, by trainer: @autoclosure () throws -> Trainer
) throws -> Trainer {
    try seeded {
        let made = try trainer()
        try made.fit(module, train: train)
        return made
    }
}

/// The weights of a module to the bit.
func bits(_ module: Module) -> [UInt64] {
    module.stateDictionary.flatMap { $0.tensor.doubles }.map(\.bitPattern)
}

/// A text whose words are easy to foretell.
let rhyme = String(
    repeating: "this is the house that Jack built\nthis is the malt that lay in the house\n", count: 30)

/// Windows of five words of it.
func words(_ count: Int = 24) throws -> Subset<WikiText2> {
    Subset(try WikiText2(text: rhyme, blockSize: 5), indices: Array(0..<count))
}

/// Its distinct words, with the end of the line.
let rhymeVocabulary = 11

/// Some of the digits in memory: `[count, 1, 8, 8]`.
func digits(_ range: Range<Int>) throws -> TensorDataset {
    let data = try DigitsData(settings()).trainDataLoader()
    let sampler = try data.sampler(shuffledByDefault: false, seed: 0, epoch: 0, shard: Shard())
    let batch = try #require(try data.batches(of: sampler).next()?.batch)
    return TensorDataset(inputs: batch.inputs[range], labels: batch.labels[range])
}

private func settings() -> DigitsData.Settings {
    var settings = DigitsData.Settings()
    settings.batch.global = 1024
    return settings
}

/// What each rank found, by rank, and what was printed.
func found(by sample: String, ranks: Int) throws -> (ranks: [String], output: String) {
    let scratch = try ScratchDirectory()
    let run = try MPIRun("document-samples", [sample, scratch.path], ranks: ranks, limit: 90)
    try #require(run.status == 0 && !run.timedOut, "\(run.output)")
    let texts = try (0..<max(ranks, 1)).map {
        try String(contentsOfFile: scratch.file("\(sample).\($0)"), encoding: .utf8)
    }
    return (texts, run.output)
}
