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
    public final func log(
        _ name: String, _ value: Double, onStep: Bool? = nil, onEpoch: Bool? = nil, progressBar: Bool = false,
        logger: Bool = true, reduce: MetricReduction = .mean, batchSize: Int? = nil
    ) {
        attachedTrainer?.logging.log(
            name, value, onStep: onStep, onEpoch: onEpoch, progressBar: progressBar, logger: logger, reduce: reduce,
            batchSize: batchSize)
    }

    /// Logs a scalar tensor under a name.
    ///
    /// - Precondition: the tensor has one element.
    public final func log(
        _ name: String, _ value: Tensor, onStep: Bool? = nil, onEpoch: Bool? = nil, progressBar: Bool = false,
        logger: Bool = true, reduce: MetricReduction = .mean, batchSize: Int? = nil
    ) {
        guard attachedTrainer != nil else { return }
        guard value.elementCount == 1 else {
            fatalError("log(\"\(name)\"): the tensor must have a single element, and its shape is \(value.shape)")
        }
        log(
            name, value.item, onStep: onStep, onEpoch: onEpoch, progressBar: progressBar, logger: logger,
            reduce: reduce, batchSize: batchSize)
    }

    /// Logs several numbers at once.
    public final func logDictionary(
        _ values: [String: Double], onStep: Bool? = nil, onEpoch: Bool? = nil, progressBar: Bool = false,
        logger: Bool = true, reduce: MetricReduction = .mean, batchSize: Int? = nil
    ) {
        for name in values.keys.sorted() {
            guard let value = values[name] else { continue }
            log(
                name, value, onStep: onStep, onEpoch: onEpoch, progressBar: progressBar, logger: logger, reduce: reduce,
                batchSize: batchSize)
        }
    }

    /// Logs several scalar tensors at once.
    ///
    /// - Precondition: each has one element.
    public final func logDictionary(
        _ values: [String: Tensor], onStep: Bool? = nil, onEpoch: Bool? = nil, progressBar: Bool = false,
        logger: Bool = true, reduce: MetricReduction = .mean, batchSize: Int? = nil
    ) {
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            log(
                name, value, onStep: onStep, onEpoch: onEpoch, progressBar: progressBar, logger: logger, reduce: reduce,
                batchSize: batchSize)
        }
    }
}
