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
}

/// Keeps what a run logs.
///
/// Called on global rank 0 only.
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
