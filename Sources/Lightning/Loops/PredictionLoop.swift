import NN
import Tensors

/// Prediction: an evaluation whose outputs are kept, in the order of the data set.
struct PredictionLoop<M: PredictionModule> {
    let trainer: Trainer
    let module: M
    let loader: DataLoader<M.PredictionBatch>

    /// One row per sample, on every rank; nil without samples.
    func run() throws -> Tensor? {
        let samplers = try loader.parts.map { try trainer.sampler(of: $0, shuffledByDefault: false, epoch: 0) }
        guard !samplers.contains(where: { $0.isStream || ($0.count > 0 && !$0.hasIndices) }) else {
            throw TrainingError(
                "predictions are in the order of a data set, and a stream or a combined loader has none; predict for data sets, several of them with DataLoader(sequential:)"
            )
        }
        let keepsRows = !trainer.callbacks.contains { ($0 as? PredictionWriter)?.returnsPredictions == false }
        trainer.predictedSampleCounts = try samplers.map { sampler in
            let count = try trainer.configuration.limitPredictBatches.count(
                of: sampler.batchCount, what: "trainer.limitPredictBatches")
            return min(sampler.count, count * sampler.globalBatchSize)
        }
        var rows: [Tensor] = []
        var places: [Int64] = []
        let source = LoaderSource(reloadsEvery: 0) { loader }
        let loop = EvaluationLoop(.prediction, trainer, module, source) { batch, index in
            let number = module.dataLoaderIndex
            // The rows of a loader lie behind those of the loaders before it.
            let start = trainer.predictedSampleCounts[..<number].reduce(0, +)
            let samples = samplers[number].indices(ofBatch: index).map { start + $0 }
            trainer.sampleIndices = samples
            let prediction = try predict(batch, index, samples: samples.count)
            if keepsRows {
                rows.append(prediction)
                places += samples.map(Int64.init)
            }
            return prediction
        }
        try loop.run(limit: trainer.configuration.limitPredictBatches)
        return keepsRows ? try gather(rows, places) : nil
    }

    private func predict(_ batch: M.PredictionBatch, _ index: Int, samples: Int) throws -> Tensor {
        let prediction = try module.predictStep(batch, batchIndex: index).detached
        guard prediction.rank > 0, prediction.shape[0] == samples else {
            throw TrainingError(
                "predictStep returned shape \(prediction.shape) for \(samples) samples; the first extent must be the samples"
            )
        }
        return prediction
    }

    /// Puts the rows of all ranks in the order of their samples.
    private func gather(_ rows: [Tensor], _ places: [Int64]) throws -> Tensor? {
        let own = rows.isEmpty ? Tensor(uninitialized: [0], dtype: .standard) : Tensor.concatenate(rows)
        let parts = try trainer.strategy.gather(own, tag: "predictions")
        let places = try trainer.strategy.gather(Tensor(places), tag: "places of predictions")
        let present = parts.indices.filter { places[$0].elementCount > 0 }
        guard !present.isEmpty else { return nil }
        let all = Tensor.concatenate(present.map { parts[$0] })
        let order = present.flatMap { places[$0].array(of: Int64.self) }
        let sorted = order.indices.sorted { order[$0] < order[$1] }
        return all.rows(at: Tensor(sorted.map(Int64.init)))
    }
}
