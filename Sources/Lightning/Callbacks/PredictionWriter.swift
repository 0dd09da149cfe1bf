import Checkpoints
import Foundation
import HDF5
import NN
import Tensors

/// Writes predictions to an HDF5 file while they are made: one row per sample, in the order of the data set, on any
/// number of ranks.
///
/// After each batch the ranks give their rows to rank 0, which writes them; so neither the predictions nor the data need
/// to fit into memory. The file has one dataset, `predictions`, and is whole or absent.
public final class PredictionWriter: Callback {
    private let path: String?
    /// Whether `Trainer.predict` returns the predictions too, which then lie in memory on all ranks.
    public let returnsPredictions: Bool
    private var pending: AtomicHDF5File?
    private var dataset: HDF5Dataset?
    /// This rank's part of the last batch, by loader.
    private var last: [Int: (rows: Tensor, indices: [Int])] = [:]
    /// The file of the last prediction.
    public private(set) var writtenPath: String?

    /// A writer.
    ///
    /// - Parameters:
    ///   - path: The file; by default `predictions.h5` in the run's directory.
    ///   - returnsPredictions: Whether `Trainer.predict` returns the predictions too; nil is what it returns otherwise.
    public init(path: String? = nil, returnsPredictions: Bool = false) {
        self.path = path
        self.returnsPredictions = returnsPredictions
    }

    /// Begins a file.
    public override func onPredictStart(_ trainer: Trainer, _ module: LightningModule) throws {
        let path = try path ?? trainer.runDirectory() + "/predictions.h5"
        (pending, dataset, last, writtenPath) = (nil, nil, [:], path)
        guard trainer.isGlobalZero else { return }
        try FileManager.default.createDirectory(
            at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
        pending = try AtomicHDF5File(at: path)
    }

    /// Hands the rows of a batch to rank 0.
    public override func onPredictBatchEnd(
        _ trainer: Trainer, _ module: LightningModule, _ output: Any, batch: any DataBatch, batchIndex: Int,
        dataLoaderIndex: Int
    ) throws {
        guard let prediction = output as? Tensor else { return }
        // All ranks have samples in every batch but the last of a loader, which may be too short; that one waits for them.
        if batchIndex < trainer.evaluationBatchCount - 1 {
            try write(prediction, trainer.sampleIndices, trainer)
        } else {
            last[dataLoaderIndex] = (prediction, trainer.sampleIndices)
        }
    }

    /// Writes the last batch of each loader, and gives the file its name.
    public override func onPredictEpochEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        for loader in trainer.predictedSampleCounts.indices {
            try write(last[loader]?.rows ?? Tensor(uninitialized: [0]), last[loader]?.indices ?? [], trainer)
        }
        last = [:]
        try pending?.commit()
        (pending, dataset) = (nil, nil)
        try trainer.strategy.barrier("predictions written")
    }

    /// Removes what was written.
    public override func onException(_ trainer: Trainer, _ module: LightningModule, _ error: any Error) {
        pending?.discard()
        (pending, dataset, last, writtenPath) = (nil, nil, [:], nil)
    }

    private func write(_ rows: Tensor, _ indices: [Int], _ trainer: Trainer) throws {
        let parts = try trainer.strategy.gather(rows, tag: "predictions to write")
        let places = try trainer.strategy.gather(Tensor(indices.map(Int64.init)), tag: "places of predictions to write")
        guard let pending else { return }
        let present = parts.indices.filter { places[$0].elementCount > 0 }
        guard !present.isEmpty else { return }
        let order = present.flatMap { places[$0].array(of: Int64.self).map(Int.init) }
        let sorted = order.indices.sorted { order[$0] < order[$1] }
        let all = Tensor.concatenate(present.map { parts[$0] }).rows(at: Tensor(sorted.map(Int64.init)))
        try write(all, at: sorted.map { order[$0] }, of: trainer.predictedSampleCount, pending.file)
    }

    /// Writes rows, neighbours together.
    private func write(_ rows: Tensor, at places: [Int], of count: Int, _ file: HDF5File) throws {
        guard places.allSatisfy({ $0 < count }) else {
            throw TrainingError(
                "PredictionWriter: a part of a data set in random order has no order of the data set; do not shuffle, or predict all of it"
            )
        }
        let type = rows.dtype.fileType, shape = Array(rows.shape.dropFirst())
        let target = try dataset ?? file.createDataset("predictions", type, shape: [count] + shape)
        dataset = target
        var begin = 0
        while begin < places.count {
            var end = begin + 1
            while end < places.count, places[end] == places[end - 1] + 1 { end += 1 }
            let block = rows.slice(begin..<end).contiguous()
            let offset = [places[begin]] + shape.map { _ in 0 }
            try block.withUnsafeBytes {
                try target.write(from: $0, as: type, offset: offset, count: [end - begin] + shape)
            }
            begin = end
        }
    }
}
