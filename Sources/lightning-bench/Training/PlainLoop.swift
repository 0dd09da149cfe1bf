import Lightning

/// The bare loop that the Trainer is measured against: the same module, loader, optimizer and sum over the ranks.
///
/// No hooks, no callbacks, no logging, no agreement on stops and signals, no test for a loss that is not finite, and on
/// many ranks no words about what a rank was doing when it fails.
enum PlainLoop {
    static func run(
        _ module: MeasuredModule, _ loader: DataLoader<LabeledBatch>, steps: Int, over strategy: any Strategy,
        seed: UInt64
    ) throws {
        try strategy.prepare(module)
        let optimizer = module.configureOptimizers().optimizer
        let shard = Shard(rank: strategy.topology.globalRank, worldSize: strategy.worldSize)
        module.train()
        var step = 0
        var epoch = 0
        while step < steps {
            let sampler = try loader.sampler(shuffledByDefault: true, seed: seed, epoch: epoch, shard: shard)
            let batches = loader.batches(of: sampler)
            while step < steps, let next = try batches.next(), let batch = next.batch {
                RandomContext.current.begin(step: step, shard: shard.rank)
                let loss = try module.trainingStep(batch, batchIndex: next.index)
                optimizer.zeroGradients()
                let isWeighted = strategy.worldSize > 1
                strategy.beginStep(StepControl(samples: batch.sampleCount), averages: isWeighted)
                (isWeighted ? loss * Double(batch.sampleCount) : loss).backward()
                _ = try strategy.finishStep()
                optimizer.step()
                step += 1
            }
            epoch += 1
        }
    }
}
