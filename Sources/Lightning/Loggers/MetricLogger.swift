/// Values that belong to one moment of training.
public struct MetricRecord: Sendable {
    /// The epoch, from 0.
    public var epoch: Int
    /// Batches seen in all epochs.
    public var batch: Int
    /// Optimizer steps taken.
    public var step: Int
    /// Samples seen by all ranks.
    public var samples: Int
    /// Seconds since the run began.
    public var seconds: Double
    /// The values by name, in the order they were logged.
    public var values: [(name: String, value: Double)]

    /// Values of a moment.
    public init(
        epoch: Int, batch: Int, step: Int, samples: Int, seconds: Double, values: [(name: String, value: Double)]
    ) {
        self.epoch = epoch
        self.batch = batch
        self.step = step
        self.samples = samples
        self.seconds = seconds
        self.values = values
    }
}

/// Keeps what a run logs.
///
/// Called on global rank 0 only. What a logger is given it hands to the operating system before it returns, so that
/// nothing is lost when the program dies; ``flush()`` waits for the disk.
public protocol MetricLogger: AnyObject {
    /// Where this logger writes; nil when nowhere.
    var directory: String? { get }
    /// Takes the configuration of the model, as YAML text.
    func logHyperparameters(_ yaml: String) throws
    /// Takes values.
    func log(_ record: MetricRecord) throws
    /// Brings everything to the disk.
    func flush() throws
    /// The run has ended; `status` says how: `finished`, `interrupted` or `failed`.
    func finalize(_ status: String) throws
}
