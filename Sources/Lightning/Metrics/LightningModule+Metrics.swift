import Metrics
import NN

extension LightningModule {
    /// The metrics in stored properties of this module and of the modules in it, with the names of the properties.
    ///
    /// Found like parameters: also in optionals, arrays, and dictionaries with `String` keys.
    public final var namedMetrics: [(name: String, metric: any Metric)] {
        var walk = MetricWalk()
        walk.descend(into: self, "")
        return walk.found
    }

    /// The value of a metric over what all ranks have gathered, which stays as it is on each of them.
    ///
    /// Every rank must call it. For values that `log` does not take, such as a ``ConfusionMatrix`` at the end of an epoch;
    /// reset the metric afterwards.
    public final func computeOverRanks<M: Metric>(_ metric: M) throws -> M.Value {
        guard worldSize > 1 else { return metric.compute() }
        let texts = try strategy.gather(try JSON.encode(metric.state), tag: "computeOverRanks")
        return try metric.merged(try texts.map { try JSON.decode(MetricState.self, from: $0) }) { $0.compute() }
    }
}

extension Metric {
    /// What a closure finds of this metric while it holds the states of several ranks, merged in order.
    ///
    /// - Throws: ``TrainingError`` when the states are of metrics with other settings.
    func merged<Value>(_ states: [MetricState], _ body: (Self) -> Value) throws -> Value {
        let own = state
        defer { state = own }
        reset()
        for other in states {
            guard other.fits(state) else {
                throw TrainingError(
                    "the ranks' metrics of type \(Self.self) have different settings; build the module from the same configuration on every rank"
                )
            }
            merge(other)
        }
        return body(self)
    }
}

/// One walk through the properties below a module.
private struct MetricWalk {
    var found: [(name: String, metric: any Metric)] = []
    private var seen: Set<ObjectIdentifier> = []

    mutating func descend(into module: Module, _ key: String) {
        guard seen.insert(ObjectIdentifier(module)).inserted else { return }
        for (name, part) in module.namedParts { descend(part, key.isEmpty ? name : "\(key).\(name)") }
    }

    private mutating func descend(_ value: Any, _ key: String) {
        if let module = value as? Module { return descend(into: module, key) }
        if let metric = value as? any Metric {
            if seen.insert(ObjectIdentifier(metric)).inserted { found.append((key, metric)) }
            return
        }
        let mirror = Mirror(reflecting: value)
        switch mirror.displayStyle {
        case .optional: if let wrapped = mirror.children.first { descend(wrapped.value, key) }
        case .collection:
            // Only the first element is looked at before descending: arrays of numbers are not walked.
            guard let first = mirror.children.first?.value, first is Module || first is any Metric else { return }
            for (index, child) in mirror.children.enumerated() { descend(child.value, "\(key).\(index)") }
        case .dictionary:
            guard let pair = mirror.children.first?.value,
                Mirror(reflecting: pair).children.contains(where: { $0.value is Module || $0.value is any Metric }),
                let dictionary = value as? [String: Any]
            else { return }
            for name in dictionary.keys.sorted() {
                if let element = dictionary[name] { descend(element, "\(key).\(name)") }
            }
        default: return
        }
    }
}
