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
        var total = 0.0
        var weight = 0.0
        var last = 0.0
        /// Whether `last` has not gone to the loggers yet.
        var isNew = false

        /// The value so far.
        var value: Double { reduction == .mean ? total / weight : total }
        /// The key of step values.
        var stepName: String { onStep && onEpoch ? name + "_step" : name }
        /// The key of epoch values.
        var epochName: String { onStep && onEpoch ? name + "_epoch" : name }

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
    }

    private(set) var entries: [Entry] = []
    /// Whether this rank had a batch to log values of.
    var hasBatches = false
    private var places: [String: Int] = [:]

    var isEmpty: Bool { entries.isEmpty }

    /// Adds a value; the first one decides how the name is treated.
    mutating func log(_ entry: @autoclosure () -> Entry, name: String, value: Double, weight: Double) {
        if let place = places[name] {
            entries[place].add(value, weight: weight)
        } else {
            var new = entry()
            new.add(value, weight: weight)
            places[name] = entries.count
            entries.append(new)
        }
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
    /// Collective. A rank without batches, which can only log what does not come from batches, lacks nothing.
    /// - Throws: ``TrainingError`` on every rank when a key was logged on some ranks only.
    func reduced(over strategy: any Strategy, tag: String) throws -> [Entry] {
        guard strategy.worldSize > 1 else { return entries }
        let own = try JSON.encode(Share(hasBatches: hasBatches, entries: entries))
        let ranks = try strategy.gather(own, tag: tag).map { try JSON.decode(Share.self, from: $0) }
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
        return merged
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
