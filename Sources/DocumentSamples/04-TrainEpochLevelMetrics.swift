import Lightning

/// The document's section "Train Epoch-level Metrics": `log` averages over the epoch and all ranks.
///
/// The mean is over samples, not over batches, so that a short last batch counts for less; and `sync_dist` is not
/// needed, since values of an epoch are always those of all ranks.
public enum TrainEpochLevelMetrics {
    /// A transformer that logs its loss.
    public final class LightningTransformer: TrainingLoopSample.LightningTransformer {
        /// The loss of a batch, logged.
        public override func trainingStep(_ batch: LabeledBatch, batchIndex: Int) throws -> Tensor {
            let (inputs, target) = (batch.inputs, batch.labels)
            let output = model(inputs, target)
            let loss = negativeLogLikelihood(output, target.reshaped(to: [-1]))

            // logs metrics for each trainingStep,
            // and the average across the epoch, to the progress bar and logger
            log("train_loss", loss, onStep: true, onEpoch: true, progressBar: true, logger: true)
            return loss
        }
    }

    /// "Here's the pseudocode of what it does under the hood": an epoch by hand.
    public static func pseudocode(
        _ module: TrainingLoopSample.LightningTransformer, _ trainDataLoader: DataLoader<LabeledBatch>
    ) throws -> Double {
        let optimizer = module.configureOptimizers().optimizer
        var outputs: [Tensor] = []
        try enumerate(trainDataLoader, trains: true) { batchIndex, batch in
            // forward
            let loss = try module.trainingStep(batch, batchIndex: batchIndex)
            outputs.append(loss.detached)

            // clear gradients
            optimizer.zeroGradients()
            // backward
            loss.backward()
            // update parameters
            optimizer.step()
        }
        // note: in reality, we do this incrementally, instead of keeping all outputs in memory
        return Tensor.stack(outputs).mean().item
    }
}
