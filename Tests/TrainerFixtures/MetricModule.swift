import Lightning

/// A module whose metrics are functions of the samples alone, so that they must have the same bits on any number of
/// ranks; it trains one number on the side.
public final class MetricModule: LightningModule, TrainingModule, ValidationModule {
    private let factor = Parameter(Tensor([0.5]))
    private let area = AUROC(.multiclass(3))
    private let errors = R2Score()
    private let accuracies = [Accuracy(.multiclass(3)), Accuracy(.multiclass(3), top: 2)]
    private let named: [String: F1Score] = [
        "macro": F1Score(.multiclass(3)), "micro": F1Score(.multiclass(3), average: .micro),
    ]
    private let averagePrecision: AveragePrecision? = AveragePrecision(.multiclass(3), thresholds: .bins(20))
    private let confusion = ConfusionMatrix(.multiclass(3))
    /// The confusion matrix of the last validation, over all ranks.
    public var lastConfusion: [Double] = []
    /// Called at the beginning of training steps.
    public var inTraining: ((MetricModule) throws -> Void)?

    /// The untrained module.
    public override init() { super.init() }

    private func scores(_ batch: NumberedBatch) -> (Tensor, Tensor) {
        (batch.inputs.softmax(), Tensor(batch.indices.map { Int64(($0 * $0 + 1) % 3) }))
    }

    /// Logs the area as `train_area`; `train_r2` comes at the end of the epoch.
    public func trainingStep(_ batch: NumberedBatch, batchIndex: Int) throws -> Tensor {
        try inTraining?(self)
        let (scores, labels) = scores(batch)
        area.update(scores, labels)
        log("train_area", area)
        errors.update(batch.targets * 0.9 + 0.05, batch.targets)
        return (factor.value * batch.targets - batch.targets).squared().mean()
    }

    /// Logs what is only gathered in the steps.
    public override func onTrainEpochEnd() { log("train_r2", errors) }

    /// Logs metrics of several kinds of property.
    public func validationStep(_ batch: NumberedBatch, batchIndex: Int) throws {
        let (scores, labels) = scores(batch)
        for metric in accuracies { metric.update(scores, labels) }
        for metric in named.values { metric.update(scores, labels) }
        confusion.update(scores, labels)
        logDictionary(["val_top1": accuracies[0], "val_top2": accuracies[1]])
        for (name, metric) in named { log("val_f1_\(name)", metric) }
        guard let averagePrecision else { return }
        averagePrecision.update(scores, labels)
        log("val_ap", averagePrecision, progressBar: true)
        logDictionary(["val_first": Double(batch.indices[0]), "val_one": 1], reduce: .min)
    }

    /// Puts the confusion matrices of all ranks together.
    public override func onValidationEpochEnd() throws {
        lastConfusion = try computeOverRanks(confusion).doubles
        confusion.reset()
    }

    /// SGD.
    public func configureOptimizers() -> OptimizerConfiguration { .init(SGD(parameters, learningRate: 0.1)) }
}
