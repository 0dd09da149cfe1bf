import Checkpoints
import Metrics

/// What one rank puts into a checkpoint.
struct RankMetrics: Codable {
    /// Values of the training epoch so far.
    var entries: [MetricStore.Entry]
    /// What the module's metrics have gathered, by property; those that have nothing are left out.
    var states: [String: MetricState]
    /// Skipped batches and the like.
    var irregularBatches: IrregularBatches
}

/// The metrics in a module's properties, between the store of logged values, the ranks and checkpoints.
///
/// They are looked up by the names of their properties, since a rank without batches has never logged them, and neither
/// has a run that goes on at the end of an epoch.
enum LoggedMetrics {
    /// What this rank's logged metrics have gathered.
    static func states(_ entries: [MetricStore.Entry], in module: LightningModule) -> [String: MetricState] {
        var states: [String: MetricState] = [:]
        for (attribute, metric) in logged(entries, module) { states[attribute] = metric.state }
        return states
    }

    /// The entries with the values of their metrics over all ranks.
    ///
    /// - Throws: ``TrainingError`` when the ranks' metrics have different settings, or a property is not there.
    static func computed(
        _ entries: [MetricStore.Entry], _ ranks: [[String: MetricState]], in module: LightningModule
    ) throws -> [MetricStore.Entry] {
        let metrics = logged(entries, module)
        var values: [String: Double] = [:]
        for (attribute, metric) in metrics {
            values[attribute] = try number(metric, ranks.compactMap { $0[attribute] })
        }
        return try entries.map { entry in
            guard let attribute = entry.attribute else { return entry }
            guard let value = values[attribute] else {
                throw TrainingError(
                    "'\(entry.name)' is the metric in the property '\(attribute)', which \(type(of: module)) does not have on every rank"
                )
            }
            var entry = entry
            entry.computed = value
            return entry
        }
    }

    private static func number(_ metric: some Metric, _ states: [MetricState]) throws -> Double? {
        try metric.merged(states) { $0.number }
    }

    /// Has the logged metrics start afresh.
    static func reset(_ entries: [MetricStore.Entry], in module: LightningModule) {
        for (_, metric) in logged(entries, module) { metric.reset() }
    }

    private static func logged(_ entries: [MetricStore.Entry], _ module: LightningModule) -> [(String, any Metric)] {
        guard entries.contains(where: { $0.attribute != nil }) else { return [] }
        let attributes = Set(entries.compactMap(\.attribute))
        return module.namedMetrics.filter { attributes.contains($0.name) }
    }

    // MARK: - Checkpoints

    /// What all metrics of the module have gathered, logged or not yet.
    static func allStates(in module: LightningModule) -> [String: MetricState] {
        var states: [String: MetricState] = [:]
        for (name, metric) in module.namedMetrics where metric.state != metric.state.cleared {
            states[name] = metric.state
        }
        return states
    }

    /// Gives the metrics back what they had gathered, merged over the given ranks.
    ///
    /// - Throws: ``CheckpointError`` when a metric is not there any more, or has other settings.
    static func restore(_ ranks: [[String: MetricState]], in module: LightningModule) throws {
        let metrics = module.namedMetrics
        for states in ranks {
            for (name, state) in states.sorted(by: { $0.key < $1.key }) {
                guard let metric = metrics.first(where: { $0.name == name })?.metric, state.fits(metric.state) else {
                    throw CheckpointError(
                        "the checkpoint was made in the middle of an epoch and holds what a metric in the property '\(name)' had gathered; \(type(of: module)) has no such metric. Go on with the same metrics, or from the end of an epoch"
                    )
                }
                metric.merge(state)
            }
        }
    }
}
