import DataParallel
import MPI
import NN
import Tensors

/// Prediction: every sample once, results in the order of the data set.
struct PredictionLoop<M: PredictionModule> {
    let trainer: Trainer
    let module: M
    let loader: DataLoader<M.PredictionBatch>

    /// One row per sample, on every rank; nil without samples.
    func run() throws -> Tensor? {
        let sampler = try loader.sampler(
            shuffledByDefault: false, seed: trainer.seed, epoch: 0, shard: trainer.shard)
        let count = try trainer.configuration.limitPredictBatches.count(
            of: sampler.batchCount, what: "trainer.limitPredictBatches")
        guard count > 0 else { return nil }
        trainer.evaluationBatchCount = count
        trainer.logging.scope = .none("during prediction")
        let modes = module.modes
        trainer.predictedSampleCount = min(sampler.count, count * sampler.globalBatchSize)
        let keepsRows = !trainer.callbacks.contains { ($0 as? PredictionWriter)?.returnsPredictions == false }
        var rows: [Tensor] = []
        var indices: [Int64] = []
        try withoutGradient {
            try module.onPredictModelEvaluate()
            try trainer.call({ try $0.onPredictStart(trainer, module) }, { try module.onPredictStart() })
            try trainer.call({ try $0.onPredictEpochStart(trainer, module) }, { try module.onPredictEpochStart() })
            let batches = loader.batches(of: sampler, limit: count)
            while let next = try read(batches) {
                guard let batch = next.batch else { continue }
                trainer.sampleIndices = next.sampleIndices
                let prediction = try predict(batch, next.index, samples: next.sampleIndices.count)
                guard keepsRows else { continue }
                rows.append(prediction)
                indices += next.sampleIndices.map(Int64.init)
            }
            try trainer.call({ try $0.onPredictEpochEnd(trainer, module) }, { try module.onPredictEpochEnd() })
        }
        try trainer.call({ try $0.onPredictEnd(trainer, module) }, { try module.onPredictEnd() })
        module.restoreModes(modes)
        try module.onPredictModelTrain()
        return keepsRows ? try gather(rows, indices) : nil
    }

    private func read(_ batches: BatchIterator<M.PredictionBatch>) throws -> IndexedBatch<M.PredictionBatch>? {
        Watchdog.phase = TrainingPhase("reading prediction data", batch: batches.nextIndex)
        return try batches.next()
    }

    private func predict(_ batch: M.PredictionBatch, _ index: Int, samples: Int) throws -> Tensor {
        Watchdog.phase = TrainingPhase("prediction", batch: index)
        try trainer.call(
            { try $0.onPredictBatchStart(trainer, module, batch, batchIndex: index, dataLoaderIndex: 0) },
            { try module.onPredictBatchStart(batch, batchIndex: index, dataLoaderIndex: 0) })
        let batch = try trainer.transfer(batch, to: module)
        let prediction = try module.predictStep(batch, batchIndex: index).detached
        guard prediction.rank > 0, prediction.shape[0] == samples else {
            throw TrainingError(
                "predictStep returned shape \(prediction.shape) for \(samples) samples; the first extent must be the samples"
            )
        }
        try trainer.call(
            {
                try $0.onPredictBatchEnd(
                    trainer, module, prediction, batch: batch, batchIndex: index, dataLoaderIndex: 0)
            },
            { try module.onPredictBatchEnd(batch, batchIndex: index, dataLoaderIndex: 0) })
        return prediction
    }

    /// Puts the rows of all ranks in the order of their samples.
    private func gather(_ rows: [Tensor], _ indices: [Int64]) throws -> Tensor? {
        let own = rows.isEmpty ? Tensor(uninitialized: [0], dtype: .standard) : Tensor.concatenate(rows)
        let parts = try trainer.strategy.gather(own, tag: "predictions")
        let places = try trainer.strategy.gather(Tensor(indices), tag: "places of predictions")
        let present = parts.indices.filter { places[$0].elementCount > 0 }
        guard !present.isEmpty else { return nil }
        let all = Tensor.concatenate(present.map { parts[$0] })
        let order = present.flatMap { places[$0].array(of: Int64.self) }
        let sorted = order.indices.sorted { order[$0] < order[$1] }
        return all.rows(at: Tensor(sorted.map(Int64.init)))
    }
}
