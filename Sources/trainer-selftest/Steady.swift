import DataParallel
import Lightning
import TrainerFixtures

/// The smallest model that anyone would train: 64 numbers to 10 classes.
private final class TinyModule: LightningModule, TrainingModule {
    private let body = Sequential {
        Linear(64, 64)
        ReLU()
        Linear(64, 10)
    }

    func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
        crossEntropy(body(batch.inputs), batch.labels)
    }

    func configureOptimizers() -> OptimizerConfiguration {
        .init(SGD(parameters, learningRate: 0.05, momentum: 0.9))
    }
}

/// Takes note of memory and communication at two batches of a run.
private final class PoolWatch: Callback {
    var counts: [Int: (memory: MemoryPool.Counts, communication: CommunicationCounts)] = [:]

    override func onTrainBatchStart(
        _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int
    ) {
        if batchIndex == 20 || batchIndex == 60 {
            counts[batchIndex] = (MemoryPool.counts, trainer.strategy.communication)
        }
    }
}

/// Counts what 40 steps take from the system, copy and communicate, after 20 steps of warm-up.
func countAllocations(_ options: Options) throws {
    var run = options.run
    run.trainer.maxEpochs = 1
    run.trainer.logEverySteps = 0
    let watch = PoolWatch()
    let trainer = try Trainer(configuration: run.trainer, callbacks: [watch], loggers: [])
    let inputs = Tensor((0..<(32 * 64 * 64)).map { Float($0 % 97) / 97 }, shape: [32 * 64, 64])
    let labels = Tensor((0..<(32 * 64)).map { Int64($0 % 10) })
    try trainer.fit(
        TinyModule(), train: DataLoader(TensorDataset(inputs: inputs, labels: labels), batchSize: .perRank(8)))
    guard let before = watch.counts[20], let after = watch.counts[60] else { throw OnPurpose("too few batches") }
    let (memory, earlier) = (after.memory, before.memory)
    let taken = [
        memory.systemAllocations - earlier.systemAllocations, memory.storageCopies - earlier.storageCopies,
        memory.gradientCopies - earlier.gradientCopies,
    ]
    let all = try trainer.strategy.gather(taken.map(String.init).joined(separator: " "), tag: "counts")
    report(trainer, "allocations, copies, copies of gradients", all.joined(separator: ", "))
    let (collectives, bytes) = (
        after.communication.collectives - before.communication.collectives,
        after.communication.bytesReduced - before.communication.bytesReduced
    )
    let communicated = try trainer.strategy.gather("\(collectives) \(bytes)", tag: "communication")
    report(trainer, "collectives and bytes", communicated.joined(separator: ", "))
}
