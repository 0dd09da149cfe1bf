// Samples of the document that say something about ranks, as one program:
//     mpirun -n N document-samples SAMPLE DIRECTORY
// Each rank writes what it found to `DIRECTORY/SAMPLE.R`.
import DocumentSamples
import ExampleModules
import Foundation
import Lightning

/// Sixteen digits in batches of four over all ranks, in order.
func digits(count: Int = 16) throws -> DataLoader<LabeledBatch> {
    let data = try DigitsData().testDataLoader()
    let sampler = try data.sampler(shuffledByDefault: false, seed: 0, epoch: 0, shard: Shard())
    guard let first = try data.batches(of: sampler).next()?.batch else { throw TrainingError("there are no digits") }
    let part = TensorDataset(inputs: first.inputs[0..<count], labels: first.labels[0..<count])
    return DataLoader(part, batchSize: .global(4), shuffles: false)
}

func runSample(_ name: String, in directory: String) throws {
    RandomContext.current.seed = 3
    // A module does not keep its trainer alive, and knows its rank only with one.
    let rank = try Trainer(defaultRootDir: directory).globalRank
    func report(_ text: String) throws {
        try text.write(toFile: "\(directory)/\(name).\(rank)", atomically: true, encoding: .utf8)
    }
    switch name {
    case "sampler":
        let seen = SeenSamples()
        let trainer = try Trainer(defaultRootDir: directory)
        try trainer.validate(seen, LightningModuleSamples.loader(try numbers(11)))
        try report("\(seen.numbers)")
    case "methods":
        let module = Methods()
        let trainer = try Trainer(maxEpochs: 2, defaultRootDir: directory)
        try trainer.fit(module, train: digits(), validation: digits())
        try report("\(module.gathered.last?.shape ?? []) \(module.factors)")
    case "properties":
        let module = Properties(.init(learningRate: 0.1))
        var configuration = Trainer.Configuration()
        (configuration.maxSteps, configuration.defaultRootDir) = (2, directory)
        let trainer = try Trainer(configuration: configuration)
        try trainer.fit(module, train: digits())
        try report("\(module.done) \(trainer.loggers.count)")
    case "autoencoder":
        let model = InferenceInResearch.Autoencoder(pixels: 6, code: 3)
        let rows = try InferenceInResearch.predictAtScale(
            model, InferenceInResearch.Codes(count: 11, size: 3), in: directory)
        try report("\(rows?.doubles ?? [])")
    default: throw TrainingError("there is no sample '\(name)'")
    }
}

/// Numbers as samples of one element, labelled by themselves.
func numbers(_ count: Int) throws -> TensorDataset {
    TensorDataset(inputs: Tensor.range(count).converted(to: .float32), labels: Tensor.range(count))
}

/// Notes which samples it is given.
final class SeenSamples: LightningModule, ValidationModule {
    private(set) var numbers: [Int] = []
    func validationStep(_ batch: LabeledBatch, batchIndex: Int) { numbers += batch.labels.doubles.map { Int($0) } }
}

runProgram {
    let arguments = CommandLine.arguments.dropFirst()
    guard arguments.count == 2 else { throw TrainingError("usage: document-samples SAMPLE DIRECTORY") }
    try runSample(arguments[1], in: arguments[2])
}
