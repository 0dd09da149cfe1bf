import Foundation
import Lightning
import TestSupport
import Testing

/// A long training does not grow.
struct FlatMemoryTests {
    private final class Tiny: LightningModule, TrainingModule, ValidationModule {
        private let body = Sequential {
            Linear(64, 64)
            ReLU()
            Linear(64, 10)
        }

        func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
            let loss = crossEntropy(body(batch.inputs), batch.labels)
            log("train_loss", loss, onStep: true, onEpoch: true)
            return loss
        }

        func validationStep(_ batch: LabeledBatch, batchIndex: Int) {
            log("val_acc", accuracy(body(batch.inputs), batch.labels))
        }

        func configureOptimizers() -> OptimizerConfiguration {
            .init(AdamW(parameters, learningRate: 1e-3))
        }
    }

    /// Takes note of the resident set at the end of epochs.
    private final class ResidentSet: Callback {
        var kibibytes: [Int: Int] = [:]

        override func onTrainEpochEnd(_ trainer: Trainer, _ module: LightningModule) throws {
            guard (trainer.currentEpoch + 1) % 100 == 0 else { return }
            let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
            kibibytes[trainer.currentEpoch + 1] = (Int(pages[1]) ?? 0) * Int(getpagesize()) / 1024
        }
    }

    // See Note [Own process]: the resident set belongs to the process.
    @Test func aThousandEpochsTakeNoMoreMemoryThanAHundred() async {
        await #expect(processExitsWith: .success) {
            let scratch = try ScratchDirectory()
            var configuration = Trainer.Configuration()
            configuration.maxEpochs = 1_000
            configuration.enableProgressBar = false
            configuration.enableModelSummary = false
            configuration.enableCheckpointing = false
            configuration.defaultRootDir = scratch.path
            let memory = ResidentSet()
            let trainer = try Trainer(configuration: configuration, callbacks: [memory])
            var stream = RandomStream(seed: 1, purpose: .user)
            let data = TensorDataset(
                inputs: stream.normals([128, 64]), labels: Tensor((0..<128).map { Int64($0 % 10) }))
            try trainer.fit(
                Tiny(), train: DataLoader(data, batchSize: 32), validation: DataLoader(data, batchSize: 64))
            #expect(trainer.globalStep == 4_000)
            let early = try #require(memory.kibibytes[100]), late = try #require(memory.kibibytes[1_000])
            // A kilobyte an epoch would be 900 of them; the allocator's own bookkeeping may take a few pages.
            #expect(late - early < 512, "KiB resident after epochs: \(memory.kibibytes.sorted { $0.key < $1.key })")
        }
    }
}
