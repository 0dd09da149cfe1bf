import DataLoading

/// Where a loop gets its loader from: a hook that makes it, asked when it is first needed and then every so many epochs.
final class LoaderSource<Batch: DataBatch> {
    private let make: () throws -> DataLoader<Batch>
    private let interval: Int
    private var current: (loader: DataLoader<Batch>, epoch: Int)?

    /// A source that asks the hook again after so many epochs; 0 never.
    init(reloadsEvery interval: Int, _ make: @escaping () throws -> DataLoader<Batch>) {
        self.interval = interval
        self.make = make
    }

    /// The loader of an epoch.
    func loader(inEpoch epoch: Int) throws -> DataLoader<Batch> {
        // Counted from the first epoch of all, so that a run that was resumed asks in the same epochs.
        let due = interval > 0 ? epoch - epoch % interval : 0
        if let current, current.epoch >= due { return current.loader }
        let loader = try make()
        current = (loader, epoch)
        return loader
    }
}

extension Trainer {
    /// The epoch whose order of samples is read; the first one always when a run is to overfit its batches.
    var epochOfData: Int { configuration.overfitBatches == nil ? progress.epoch : 0 }

    /// The batches of this rank in an epoch of a loader.
    ///
    /// Collective when `useDistributedSampler` is off: the ranks tell each other what they read.
    func sampler<Batch>(
        of loader: DataLoader<Batch>, shuffledByDefault: Bool, epoch: Int
    ) throws -> EpochSampler<Batch> {
        guard !configuration.useDistributedSampler, worldSize > 1 else {
            return try loader.sampler(
                shuffledByDefault: shuffledByDefault, seed: seed, epoch: epoch, shard: shard)
        }
        return try loader.sampler(shuffledByDefault: shuffledByDefault, seed: seed, epoch: epoch, shard: shard) {
            try self.strategy.gather(JSON.encode($0), tag: "batches of each rank").map {
                try JSON.decode([[Int]].self, from: $0)
            }
        }
    }
}
