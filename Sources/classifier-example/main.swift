import Lightning

final class Classifier: LightningModule, TrainingModule, ValidationModule {
    let body = Sequential {
        Linear(64, 128)
        ReLU()
        Linear(128, 10)
    }

    func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
        let loss = crossEntropy(body(batch.inputs), batch.labels)
        log("train_loss", loss, onStep: true, onEpoch: true, progressBar: true)
        return loss
    }

    func validationStep(_ batch: LabeledBatch, batchIndex: Int) throws {
        let logits = body(batch.inputs)
        log("val_loss", crossEntropy(logits, batch.labels))
        log("val_acc", accuracy(logits, batch.labels), progressBar: true)
    }

    func configureOptimizers() throws -> OptimizerConfiguration {
        OptimizerConfiguration(
            AdamW(parameters, learningRate: 2e-3), schedule: CosineSchedule(total: 10), interval: .epoch)
    }

    override func onTrainEpochEnd() throws { print("epoch \(currentEpoch), on \(worldSize) ranks") }
}

runProgram {
    seedEverything(7)
    let inputs = Tensor((0..<64_000).map { Float($0 % 97) / 97 }, shape: [1000, 64])
    let data = TensorDataset(inputs: inputs, labels: Tensor((0..<1000).map { Int64($0 % 10) }))
    let parts = data.randomSplit([800, 200], seed: 1)
    let trainer = try Trainer(maxEpochs: 10, callbacks: [ModelCheckpoint(monitor: "val_acc", mode: .max)])
    try trainer.fit(
        Classifier(), train: DataLoader(parts[0], batchSize: 32), validation: DataLoader(parts[1], batchSize: 100))
}
