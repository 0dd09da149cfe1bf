import Lightning

/// A module with everything that a run must remember: normalisation, dropout, metrics in properties, a part that can be
/// frozen, and schedules by steps, epochs and validations.
public final class StatefulModule: LightningModule, SavedHyperparameters, TrainingModule, ValidationModule {
    /// What it was built from.
    public struct Hyperparameters: Codable, Sendable {
        /// Width of the hidden layer.
        public var hidden = 6
    }

    /// What this module was built from.
    public let hyperparameters = Hyperparameters()
    /// The part that can be frozen.
    public let backbone = Sequential {
        Linear(3, 6)
        BatchNorm(6)
        ReLU()
        Dropout(0.3)
    }
    private let head = Linear(6, 2)
    private let trainingArea = AUROC(.multiclass(3))
    private let trainingErrors = R2Score()
    private let accuracy = Accuracy(.multiclass(3))
    /// Called at the beginning of training steps.
    public var inTraining: ((StatefulModule) throws -> Void)?

    /// The untrained module.
    public override init() { super.init() }

    private func outputs(_ batch: NumberedBatch) -> (outputs: Tensor, targets: Tensor) {
        (head(backbone(batch.inputs.converted(to: .float32))), batch.targets.converted(to: .float32))
    }

    private func classes(_ batch: NumberedBatch) -> (scores: Tensor, labels: Tensor) {
        (batch.inputs.softmax(), Tensor(batch.indices.map { Int64(($0 * $0 + 1) % 3) }))
    }

    /// Logs a number by steps and epochs, a largest number, and a metric; another metric is logged when the epoch ends.
    public func trainingStep(_ batch: NumberedBatch, batchIndex: Int) throws -> Tensor {
        try inTraining?(self)
        let (outputs, targets) = outputs(batch)
        let loss = meanSquaredError(outputs, targets)
        log("train_loss", loss, onStep: true, onEpoch: true)
        log("train_largest", loss.item, onEpoch: true, reduce: .max)
        let (scores, labels) = classes(batch)
        trainingArea.update(scores, labels)
        log("train_area", trainingArea)
        trainingErrors.update(outputs.detached, targets)
        return loss
    }

    /// Logs what was gathered in the steps.
    public override func onTrainEpochEnd() { log("train_r2", trainingErrors) }

    /// Logs a number and a metric.
    public func validationStep(_ batch: NumberedBatch, batchIndex: Int) throws {
        let (outputs, targets) = outputs(batch)
        log("val_loss", meanSquaredError(outputs, targets))
        let (scores, labels) = classes(batch)
        accuracy.update(scores, labels)
        log("val_accuracy", accuracy)
    }

    /// The optimizer begins with the head; a callback adds the backbone.
    public func configureOptimizers() throws -> OptimizerConfiguration {
        .init(
            AdamW(head.parameters, learningRate: 0.02),
            schedules: [
                ScheduleConfiguration(ExponentialSchedule(gamma: 0.97), interval: .step, frequency: 2),
                ScheduleConfiguration(StepSchedule(every: 2, gamma: 0.7)),
                ScheduleConfiguration(
                    plateau: PlateauSchedule(decay: 0.8, patience: 1, threshold: 0.9), monitor: "val_loss"),
            ])
    }
}
