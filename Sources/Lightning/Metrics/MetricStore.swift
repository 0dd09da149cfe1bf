import Metrics
import Tensors

/// How values of one metric become one.
public enum MetricReduction: String, Sendable, Codable, CaseIterable {
    /// The mean over samples.
    case mean
    /// The sum.
    case sum
    /// The smallest.
    case min
    /// The largest.
    case max
}

/// The values logged under each name since the last reset.
///
/// Logging is two additions; nothing is communicated until the epoch ends, when one exchange carries all metrics.
/// Epoch values are sums and weights over all samples of all ranks: they do not depend on the number of ranks.
struct MetricStore {
    /// What is known of one name.
    struct Entry: Codable, Sendable {
        let name: String
        let reduction: MetricReduction
        let onStep: Bool
        let onEpoch: Bool
        let showsInProgressBar: Bool
        let goesToLogger: Bool
        /// The property that holds the metric, when one was logged and not a number.
        var attribute: String?
        /// The end of the name that says which of several loaders the values come from.
        var suffix: String?
        /// The value of that metric over all ranks, once the epoch has ended.
        var computed: Double?
        var total = 0.0
        var weight = 0.0
        var last = 0.0
        /// Whether `last` has not gone to the loggers yet.
        var isNew = false

        /// The value so far.
        var value: Double { computed ?? (reduction == .mean ? total / weight : total) }
        /// The key of step values.
        var stepName: String { forked("_step") }
        /// The key of epoch values.
        var epochName: String { forked("_epoch") }

        private func forked(_ kind: String) -> String {
            guard onStep && onEpoch else { return name }
            guard let suffix else { return name + kind }
            return name.dropLast(suffix.count) + kind + suffix
        }

        /// Whether another `log` of the same name asks for the same.
        func agrees(with other: Entry) -> Bool {
            reduction == other.reduction && onStep == other.onStep && onEpoch == other.onEpoch
                && showsInProgressBar == other.showsInProgressBar && goesToLogger == other.goesToLogger
                && attribute == other.attribute
        }

        mutating func add(_ value: Double, weight newWeight: Double) {
            last = value
            isNew = true
            switch reduction {
            case .mean: total += value * newWeight
            case .sum: total += value
            case .min: total = weight == 0 ? value : Swift.min(total, value)
            case .max: total = weight == 0 ? value : Swift.max(total, value)
            }
            weight += newWeight
        }

        mutating func merge(_ other: Entry) {
            guard other.weight != 0 else { return }
            switch reduction {
            case .mean, .sum: total += other.total
            case .min: total = weight == 0 ? other.total : Swift.min(total, other.total)
            case .max: total = weight == 0 ? other.total : Swift.max(total, other.total)
            }
            weight += other.weight
        }
    }

    /// What ranks tell each other.
    private struct Share: Codable {
        var hasBatches: Bool
        var entries: [Entry]
        /// What the logged metrics have gathered, by property.
        var states: [String: MetricState]
    }

    private(set) var entries: [Entry] = []
    /// Whether this rank had a batch to log values of.
    var hasBatches = false
    private var places: [String: Int] = [:]

    var isEmpty: Bool { entries.isEmpty }

    /// Adds a value.
    mutating func log(_ entry: Entry, value: Double, weight: Double) {
        entries[place(of: entry)].add(value, weight: weight)
    }

    /// Takes note of a metric, whose value is asked for at the end of the epoch.
    mutating func log(_ entry: Entry) { _ = place(of: entry) }

    /// Whether a metric was logged here, and under which name.
    func name(ofMetricIn attribute: String) -> String? { entries.first { $0.attribute == attribute }?.name }

    private mutating func place(of entry: Entry) -> Int {
        if let place = places[entry.name] {
            guard entries[place].agrees(with: entry) else {
                fail(
                    "log(\"\(entry.name)\"): the name was logged in this epoch with other arguments, or another kind of value; give each its own name"
                )
            }
            return place
        }
        places[entry.name] = entries.count
        entries.append(entry)
        return entries.count - 1
    }

    /// The newest single values that the loggers have not seen.
    mutating func takeStepValues() -> [(name: String, value: Double)] {
        var values: [(String, Double)] = []
        for index in entries.indices where entries[index].isNew && entries[index].onStep && entries[index].goesToLogger
        {
            values.append((entries[index].stepName, entries[index].last))
            entries[index].isNew = false
        }
        return values
    }

    /// The newest single value of a name, or of the name it has in loggers; nil when steps do not log it.
    func newest(_ name: String) -> Double? {
        entries.first { $0.onStep && ($0.name == name || $0.stepName == name) }?.last
    }

    /// Forgets all values.
    mutating func reset() {
        hasBatches = false
        entries.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
    }

    /// Takes over values saved in a checkpoint.
    mutating func restore(_ saved: [Entry]) {
        reset()
        for entry in saved {
            places[entry.name] = entries.count
            entries.append(entry)
        }
    }

    /// The values of all ranks together, the same on every rank.
    ///
    /// Collective, and one exchange whatever was logged. A rank without batches, which can only log what does not come
    /// from batches, lacks nothing. States of metrics are merged in the order of the ranks; each rank's own stays as it
    /// is.
    /// - Throws: ``TrainingError`` on every rank when a key was logged on some ranks only.
    func reduced(over strategy: any Strategy, in module: LightningModule, tag: String) throws -> [Entry] {
        if strategy.worldSize == 1, !entries.contains(where: { $0.attribute != nil }) { return entries }
        let states = LoggedMetrics.states(entries, in: module)
        guard strategy.worldSize > 1 else { return try LoggedMetrics.computed(entries, [states], in: module) }
        let share = Share(hasBatches: hasBatches, entries: entries, states: states)
        let ranks = try strategy.gather(try JSON.encode(share), tag: tag).map {
            try JSON.decode(Share.self, from: $0)
        }
        try MetricStore.checkKeys(ranks, tag)
        var merged: [Entry] = []
        var places: [String: Int] = [:]
        for entry in ranks.flatMap(\.entries) {
            if let place = places[entry.name] {
                merged[place].merge(entry)
            } else {
                places[entry.name] = merged.count
                merged.append(entry)
            }
        }
        return try LoggedMetrics.computed(merged, ranks.map(\.states), in: module)
    }

    private static func checkKeys(_ ranks: [Share], _ tag: String) throws {
        let keys = ranks.map { Set($0.entries.map(\.name)) }
        let all = keys.reduce(Set()) { $0.union($1) }
        for key in all.sorted() {
            let lacking = keys.indices.filter { ranks[$0].hasBatches && !keys[$0].contains(key) }
            guard lacking.isEmpty else {
                let having = keys.indices.filter { keys[$0].contains(key) }
                throw TrainingError(
                    "\(tag): '\(key)' was logged on ranks \(having) but not on ranks \(lacking); log the same names on every rank"
                )
            }
        }
    }
}
