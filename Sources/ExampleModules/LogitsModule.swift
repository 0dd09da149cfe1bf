import Lightning

/// A module that classifies: it says what the logits of inputs are, and has the steps of training and evaluation by that.
///
/// How it predicts and which optimizer trains it is its own.
public protocol LogitsModule: TrainingModule, ValidationModule, TestModule {
    /// The logits of inputs: `[samples, …]` to `[samples, classes]`.
    func logits(_ inputs: Tensor) -> Tensor
}

extension LogitsModule {
    /// The cross-entropy of a batch, also logged as `train_loss`.
    public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
        let loss = crossEntropy(logits(batch.inputs), batch.labels)
        log("train_loss", loss, onStep: true, onEpoch: true, progressBar: true)
        return loss
    }

    /// Logs `val_loss` and `val_acc`.
    public func validationStep(_ batch: LabeledBatch, batchIndex: Int) throws { evaluate(batch, "val") }

    /// Logs `test_loss` and `test_acc`.
    public func testStep(_ batch: LabeledBatch, batchIndex: Int) throws { evaluate(batch, "test") }

    private func evaluate(_ batch: LabeledBatch, _ prefix: String) {
        let logits = logits(batch.inputs)
        log("\(prefix)_loss", crossEntropy(logits, batch.labels))
        log("\(prefix)_acc", accuracy(logits, batch.labels), progressBar: true)
    }
}
