import Foundation
import Lightning

/// Trains a workload's network, and tells a recorder where each step begins.
final class MeasuredModule: LightningModule, TrainingModule {
    private let network: any Layer
    private let optimizerName: String
    private let logs: Bool
    private let recorder: StepRecorder

    init(_ workload: Workload, _ optimizer: String, logs: Bool, recorder: StepRecorder) {
        network = workload.network()
        optimizerName = optimizer
        self.logs = logs
        self.recorder = recorder
    }

    func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
        recorder.stepBegins()
        let output = network(batch.inputs)
        let loss = crossEntropy(
            output.rank == 3 ? output.flattened(from: 0, through: 1) : output,
            output.rank == 3 ? batch.labels.reshaped(to: [-1]) : batch.labels)
        if logs {
            log("train_loss", loss, progressBar: true)
            log("train_samples", Double(batch.sampleCount), reduce: .sum)
        }
        return loss
    }

    func configureOptimizers() -> OptimizerConfiguration {
        optimizerName == "sgd"
            ? OptimizerConfiguration(SGD(parameters, learningRate: 0.01, momentum: 0.9))
            : OptimizerConfiguration(AdamW(parameters, learningRate: 3e-4, weightDecay: 0.1))
    }

    /// The SHA-256 of all weights, for comparing runs bit by bit.
    var weightDigest: String {
        var hash = SHA256()
        for (_, parameter) in namedParameters { parameter.value.withUnsafeBytes { hash.update($0) } }
        return hash.hexadecimal
    }

    /// Writes the bytes of all weights, one parameter after the other.
    func writeWeights(to path: String) throws {
        var bytes = Data()
        for (_, parameter) in namedParameters { parameter.value.withUnsafeBytes { bytes.append(contentsOf: $0) } }
        try bytes.write(to: URL(fileURLWithPath: path))
    }
}
