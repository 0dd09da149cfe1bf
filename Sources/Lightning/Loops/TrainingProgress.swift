/// How far training has come.
///
/// One value, moved forward in one place: the training loop.
public struct TrainingProgress: Codable, Sendable, Equatable {
    /// Epochs completed.
    public private(set) var epoch = 0
    /// Batches done in the present epoch.
    public private(set) var batchInEpoch = 0
    /// Batches done in all epochs.
    public private(set) var batch = 0
    /// Optimizer steps taken in all epochs.
    public private(set) var step = 0
    /// Samples seen by all ranks in all epochs.
    public private(set) var samples = 0
    /// Whether a validation is due before the next batch; a run resumed here begins with it.
    public private(set) var awaitsValidation = false

    /// The beginning.
    public init() {}

    mutating func advanceBatch(samples count: Int) {
        batchInEpoch += 1
        batch += 1
        samples += count
    }

    mutating func advanceStep() { step += 1 }

    mutating func awaitValidation() { awaitsValidation = true }

    mutating func validated() { awaitsValidation = false }

    /// Leaves out the batches of the epoch that are still to come.
    mutating func skipToEnd(ofEpochWith count: Int) { batchInEpoch = count }

    /// Counts the batches of the epoch anew, in batches of another size.
    mutating func moveInEpoch(toBatch batch: Int) { batchInEpoch = batch }

    mutating func advanceEpoch() {
        epoch += 1
        batchInEpoch = 0
    }
}
