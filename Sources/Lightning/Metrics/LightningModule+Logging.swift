import Metrics
import Tensors

extension LightningModule {
    /// Logs a number under a name.
    ///
    /// Nothing is communicated: epoch values are put together over all samples of all ranks when the epoch ends. Step
    /// values are this rank's own; rank 0's go to the loggers.
    /// - Parameters:
    ///   - name: The key in loggers, callbacks and results. With both `onStep` and `onEpoch` the loggers see
    ///     `name_step` and `name_epoch`.
    ///   - value: The value of this batch.
    ///   - onStep: Whether single values are logged; by default in training steps only.
    ///   - onEpoch: Whether the value over the epoch is logged; by default everywhere but in training steps.
    ///   - progressBar: Whether the progress bar shows it.
    ///   - logger: Whether loggers get it.
    ///   - reduce: How the values of an epoch become one.
    ///   - batchSize: The weight of the value in a mean; by default the samples of the batch.
    ///   - addDataLoaderIndex: With several loaders in an evaluation, whether each has a value of its own, under the name
    ///     with `/dataloader_idx_N` behind it; otherwise the values of all loaders become one.
    public final func log(
        _ name: String, _ value: Double, onStep: Bool? = nil, onEpoch: Bool? = nil, progressBar: Bool = false,
        logger: Bool = true, reduce: MetricReduction = .mean, batchSize: Int? = nil, addDataLoaderIndex: Bool = true
    ) {
        attachedTrainer?.logging.log(
            name, value, onStep: onStep, onEpoch: onEpoch, progressBar: progressBar, logger: logger, reduce: reduce,
            batchSize: batchSize, addsLoaderIndex: addDataLoaderIndex)
    }

    /// Logs a scalar tensor under a name.
    ///
    /// - Precondition: the tensor has one element.
    public final func log(
        _ name: String, _ value: Tensor, onStep: Bool? = nil, onEpoch: Bool? = nil, progressBar: Bool = false,
        logger: Bool = true, reduce: MetricReduction = .mean, batchSize: Int? = nil, addDataLoaderIndex: Bool = true
    ) {
        guard attachedTrainer != nil else { return }
        guard value.elementCount == 1 else {
            fail("log(\"\(name)\"): the tensor must have a single element, and its shape is \(value.shape)")
        }
        log(
            name, value.item, onStep: onStep, onEpoch: onEpoch, progressBar: progressBar, logger: logger,
            reduce: reduce, batchSize: batchSize, addDataLoaderIndex: addDataLoaderIndex)
    }

    /// Logs several numbers at once.
    public final func logDictionary(
        _ values: [String: Double], onStep: Bool? = nil, onEpoch: Bool? = nil, progressBar: Bool = false,
        logger: Bool = true, reduce: MetricReduction = .mean, batchSize: Int? = nil, addDataLoaderIndex: Bool = true
    ) {
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            log(
                name, value, onStep: onStep, onEpoch: onEpoch, progressBar: progressBar, logger: logger, reduce: reduce,
                batchSize: batchSize, addDataLoaderIndex: addDataLoaderIndex)
        }
    }

    /// Logs a metric under a name: its value over all samples of all ranks when the epoch ends, after which it starts
    /// afresh.
    ///
    /// Call `update` before; the name alone is noted here. A step value can be logged beside it as a number.
    /// - Parameters:
    ///   - name: The key in loggers, callbacks and results.
    ///   - metric: A stored property of this module or of a module in it; training and evaluation need one each.
    ///   - progressBar: Whether the progress bar shows it.
    ///   - logger: Whether loggers get it.
    ///   - addDataLoaderIndex: With several loaders in an evaluation, whether each has a value of its own.
    public final func log(
        _ name: String, _ metric: any Metric<Double>, progressBar: Bool = false, logger: Bool = true,
        addDataLoaderIndex: Bool = true
    ) {
        guard let attachedTrainer else { return }
        guard let attribute = metricNames[ObjectIdentifier(metric)] ?? findMetric(metric) else {
            fail(
                "log(\"\(name)\"): the metric is not in a property of \(Self.self), where it would be found at the end of the epoch and for checkpoints; keep it in a stored property"
            )
        }
        attachedTrainer.logging.log(
            name, metricIn: attribute, progressBar: progressBar, logger: logger, addsLoaderIndex: addDataLoaderIndex)
    }

    private func findMetric(_ metric: any Metric<Double>) -> String? {
        for (name, found) in namedMetrics { metricNames[ObjectIdentifier(found)] = name }
        return metricNames[ObjectIdentifier(metric)]
    }

    /// Logs several metrics at once.
    public final func logDictionary(
        _ metrics: [String: any Metric<Double>], progressBar: Bool = false, logger: Bool = true,
        addDataLoaderIndex: Bool = true
    ) {
        for (name, metric) in metrics.sorted(by: { $0.key < $1.key }) {
            log(
                name, metric, progressBar: progressBar, logger: logger, addDataLoaderIndex: addDataLoaderIndex)
        }
    }

    /// Logs several scalar tensors at once.
    ///
    /// - Precondition: each has one element.
    public final func logDictionary(
        _ values: [String: Tensor], onStep: Bool? = nil, onEpoch: Bool? = nil, progressBar: Bool = false,
        logger: Bool = true, reduce: MetricReduction = .mean, batchSize: Int? = nil, addDataLoaderIndex: Bool = true
    ) {
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            log(
                name, value, onStep: onStep, onEpoch: onEpoch, progressBar: progressBar, logger: logger, reduce: reduce,
                batchSize: batchSize, addDataLoaderIndex: addDataLoaderIndex)
        }
    }
}
