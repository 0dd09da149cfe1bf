import Tensors

/// A statistic that is gathered batch by batch and put together over all ranks.
///
/// Keep one in a stored property of a module, `update` it in a step, and give it to `log`: at the end of the epoch the
/// states of all ranks are merged in rank order, the value is computed over all samples, and the metric starts afresh.
/// Nothing is communicated before. States that count are whole numbers, so that the value has the same bits on any
/// number of ranks; states that sum real numbers differ by rounding.
public protocol Metric<Value>: AnyObject {
    /// What the statistic is: a `Double`, or a tensor of several.
    associatedtype Value

    /// What was gathered so far.
    var state: MetricState { get set }

    /// Adds what another metric of the same settings has gathered; associative.
    func merge(_ other: MetricState)

    /// The statistic of everything gathered.
    func compute() -> Value

    /// Forgets everything gathered.
    func reset()
}

extension Metric {
    /// Adds sums and appends samples.
    public func merge(_ other: MetricState) { state.merge(other) }

    /// Forgets everything gathered.
    public func reset() { state = state.cleared }

    /// The statistic, when it is one number.
    package var number: Double? { compute() as? Double }
}
