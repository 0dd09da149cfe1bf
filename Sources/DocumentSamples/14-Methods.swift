import Lightning

/// The document's section "Methods" has no blocks but the names; this one holds those that no other sample calls.
///
/// `all_gather` is `allGather` and takes what is a ``TensorCollection``; `lr_schedulers` is `learningRateSchedulers`.
public final class Methods: LightningModule, TrainingModule, ValidationModule {
    private let layer = Linear(64, 10)
    private var predictions: [Tensor] = []
    /// The predictions of all ranks, `[ranks, samples]`, after each validation.
    public private(set) var gathered: [Tensor] = []
    /// What the schedule multiplied the learning rate by, epoch by epoch.
    public private(set) var factors: [Double] = []

    /// Without a hidden layer.
    public override init() { super.init() }

    /// The cross-entropy of a batch.
    public func trainingStep(_ batch: LabeledBatch, batchIndex: Int) -> Tensor {
        crossEntropy(layer(batch.inputs.flattened()), batch.labels)
    }

    /// Keeps predictions.
    public func validationStep(_ batch: LabeledBatch, batchIndex: Int) {
        predictions.append(layer(batch.inputs.flattened()).argmax())
    }

    /// Gathers them from all ranks; `print` speaks once.
    public override func onValidationEpochEnd() throws {
        gathered.append(try allGather(Tensor.concatenate(predictions)))
        predictions.removeAll()
        if !trainer.isSanityChecking { print("gathered \(gathered[gathered.count - 1].shape)") }
    }

    /// Notes what the schedule says.
    public override func onTrainEpochEnd() {
        factors.append(learningRateSchedulers()[0].factor)
    }

    /// SGD whose learning rate halves every epoch.
    public func configureOptimizers() -> OptimizerConfiguration {
        .init(SGD(parameters, learningRate: 0.1), schedule: ExponentialSchedule(gamma: 0.5))
    }
}
