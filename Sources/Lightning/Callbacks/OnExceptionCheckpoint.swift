import DataParallel
import Foundation
import NN
import Tensors

/// Saves a checkpoint when training fails, to go on from once the cause is mended.
///
/// The rank that fails writes it, without the others, which may have gone astray or be waiting: all have the same
/// weights. It is of the last whole batch; a batch that failed is done again. Nothing is saved, and the error output says
/// so, when the failure is inside an optimizer step, where weights may be half updated, or behind one in the same batch,
/// which would be done twice. On many ranks the metrics of the epoch up to the failure
/// are lost. When a fit ends well, the file is removed.
public final class OnExceptionCheckpoint: Callback {
    private let givenDirectory: String?
    private let fileName: String
    private var directory: String?
    /// The metrics before the newest batch, its number over all epochs, and the updates before it.
    private var before: (metrics: RankMetrics, batch: Int, step: Int)?
    /// What layers remembered of their inputs then, such as running moments: a forward pass has changed it since.
    private var buffers: [(buffer: Buffer, value: Tensor)] = []
    private var isValidating = false

    /// A checkpoint for failures.
    ///
    /// - Parameters:
    ///   - directory: Where to, writable by all ranks; by default `checkpoints` in the run's directory.
    ///   - fileName: The name without ending.
    public init(directory: String? = nil, fileName: String = "on_exception") {
        givenDirectory = directory
        self.fileName = fileName
    }

    /// The file; nil before a fit.
    public var path: String? { directory.map { "\($0)/\(fileName).h5" } }

    /// Decides about the directory.
    public override func onFitStart(_ trainer: Trainer, _ module: LightningModule) throws {
        directory = try givenDirectory ?? trainer.runDirectory() + "/checkpoints"
        (before, isValidating) = (nil, false)
        buffers = module.namedBuffers.map { ($0.buffer, $0.buffer.value) }
    }

    /// Remembers what a failing batch must not have changed.
    public override func onTrainBatchStart(
        _ trainer: Trainer, _ module: LightningModule, _ batch: any DataBatch, batchIndex: Int
    ) {
        before = (trainer.ownMetrics(module), trainer.progress.batch, trainer.progress.step)
        for index in buffers.indices { buffers[index].value = buffers[index].buffer.value }
    }

    /// A validation that fails is done again.
    public override func onValidationStart(_ trainer: Trainer, _ module: LightningModule) {
        isValidating = !trainer.isSanityChecking
    }

    /// The validation is whole.
    public override func onValidationEnd(_ trainer: Trainer, _ module: LightningModule) { isValidating = false }

    /// Saves.
    public override func onException(_ trainer: Trainer, _ module: LightningModule, _ error: any Error) {
        guard let path, trainer.optimizer != nil, (error as? Interrupted)?.checkpoint == nil else { return }
        let isBehindUpdate = before.map { $0.batch == trainer.progress.batch && $0.step != trainer.progress.step }
        guard !trainer.isUpdating, isBehindUpdate != true else {
            let last = trainer.checkpointCallback?.lastPath.map { "; go on with --checkpoint \($0)" } ?? ""
            let place = trainer.isUpdating ? "inside an optimizer step" : "between the optimizer steps of a batch"
            return Watchdog.printLine("no checkpoint of this failure: it happened \(place)\(last)")
        }
        var metrics = trainer.ownMetrics(module)
        // Progress has not moved: the batch is not whole, and must leave nothing behind.
        if let before, before.batch == trainer.progress.batch {
            metrics = before.metrics
            for (buffer, value) in buffers { buffer.value = value }
        }
        if isValidating { trainer.progress.awaitValidation() }
        do {
            try trainer.saveCheckpointAlone(path, metrics: metrics)
            StandardOutput.write("saved \(path) to go on from\n")
        } catch {
            StandardOutput.write("no checkpoint of this failure: \(error)\n")
        }
    }

    /// Removes the file of an earlier failure.
    public override func teardown(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) {
        if stage == .fit, trainer.isGlobalZero, let path { try? FileManager.default.removeItem(atPath: path) }
        directory = nil
    }
}
