import Lightning

/// `enumerate(loader)` of the document's pseudocode: the batches of an epoch in the order in which a trainer on one rank
/// reads them.
///
/// Before each batch random numbers are put where a trainer puts them, so that dropout draws the same masks.
/// - Parameters:
///   - loader: The batches.
///   - trains: Whether the loader shuffles unless told otherwise.
///   - epoch: The number of the epoch.
///   - body: Gets the number of the batch in the epoch, and the batch.
func enumerate<Batch: DataBatch>(
    _ loader: DataLoader<Batch>, trains: Bool = false, epoch: Int = 0, _ body: (Int, Batch) throws -> Void
) throws {
    let seed = RandomContext.current.seed
    let sampler = try loader.sampler(shuffledByDefault: trains, seed: seed, epoch: epoch, shard: Shard())
    let batches = loader.batches(of: sampler)
    while let next = try batches.next() {
        if trains { RandomContext.current.begin(step: epoch * sampler.batchCount + next.index, shard: 0) }
        if let batch = next.batch { try body(next.index, batch) }
    }
}
