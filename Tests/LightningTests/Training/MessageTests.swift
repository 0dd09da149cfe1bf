import Foundation
import Lightning
import TestSupport
import Testing

/// Messages that first-time users met in their first hour.
struct MessageTests {
    /// Trains, and logs nothing.
    private final class Silent: LightningModule, TrainingModule {
        let body = Linear(2, 1)

        func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor { body(batch.inputs).mean() }

        func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
    }

    private func fit(callbacks: [Callback] = [], in directory: String) throws {
        let data = TensorDataset(inputs: .ones([4, 2]), labels: .range(4))
        let trainer = try Trainer(
            maxEpochs: 1, enableProgressBar: false, enableModelSummary: false, defaultRootDir: directory,
            callbacks: callbacks)
        try trainer.fit(Silent(), train: DataLoader(data, batchSize: 2))
    }

    @Test func nothingWasLogged() throws {
        let scratch = try ScratchDirectory()
        let error = #expect(throws: TrainingError.self) {
            try fit(callbacks: [ModelCheckpoint(monitor: "val_loss")], in: scratch.path)
        }
        #expect(
            error?.description
                == "ModelCheckpoint monitors 'val_loss', which was not logged; nothing was: is validation data missing?"
        )
    }

    @Test func noRunDirectory() throws {
        let scratch = try ScratchDirectory()
        try "a file".write(toFile: scratch.file("taken"), atomically: true, encoding: .utf8)
        let root = scratch.file("taken/logs")
        let error = #expect(throws: TrainingError.self) { try fit(in: root) }
        let message = error?.description ?? ""
        #expect(message.hasPrefix("no run directory can be made in '\(root)' (trainer.defaultRootDir): "))
        #expect(!message.contains("Error Domain"), "\(message)")
    }
}
