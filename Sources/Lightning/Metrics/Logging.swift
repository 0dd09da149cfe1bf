import Tensors

/// Where in a run a value is logged: decides what `log` does when it is not told.
enum LoggingScope: Equatable {
    /// A training step and the hooks around it: single values by default.
    case trainingBatch
    /// Hooks of a training epoch: values of the epoch.
    case trainingEpoch
    /// Validation and test: values of the epoch.
    case evaluation
    /// Hooks in which a value would belong to nothing.
    case none(String)
}

/// What a run has logged: the accumulators, and the finished values by destination.
struct Logging {
    /// Where the run is now.
    var scope = LoggingScope.none("outside of a run")
    /// The samples of the present batch: the weight of its values.
    var batchSize = 1
    /// Values of the training epoch so far.
    var training = MetricStore()
    /// Values of the validation or test so far.
    var evaluation = MetricStore()
    /// The same of the present loader alone, when there are several.
    var evaluationOfLoader = MetricStore()
    /// The number of the present loader when there are several; nil too in hooks between them.
    var loaderIndex: Int?
    /// The newest value of everything logged, by name.
    var callbackMetrics: [String: Double] = [:]
    /// The metrics that became final, and with it the same on all ranks, since callbacks last looked.
    ///
    /// Decisions that all ranks must take alike are taken from these alone.
    var fresh: Set<String> = []
    /// What the progress bar shows, in order of first appearance.
    var progressBarMetrics: [(name: String, value: Double)] = []
    /// Whether values are taken at all; false when the trainer measures bare speed.
    var isEnabled = true

    mutating func log(
        _ name: String, _ value: Double, onStep: Bool?, onEpoch: Bool?, progressBar: Bool, logger: Bool,
        reduce: MetricReduction, batchSize: Int?, addsLoaderIndex: Bool
    ) {
        guard isEnabled else { return }
        let suffix = suffix(of: name, addsLoaderIndex)
        let stepsByDefault = scope == .trainingBatch
        let step = onStep ?? stepsByDefault, epoch = onEpoch ?? !stepsByDefault
        guard step || epoch else {
            fail("log(\"\(name)\"): with neither onStep nor onEpoch nothing would be logged")
        }
        let weight = Double(batchSize ?? self.batchSize)
        let entry = MetricStore.Entry(
            name: name + (suffix ?? ""), reduction: reduce, onStep: step, onEpoch: epoch,
            showsInProgressBar: progressBar, goesToLogger: logger, suffix: suffix)
        switch scope {
        case .trainingBatch, .trainingEpoch:
            training.log(entry, value: value, weight: weight)
            if step {
                callbackMetrics[name] = value
                if epoch { callbackMetrics[name + "_step"] = value }
                if progressBar { show(name, value) }
            }
        case .evaluation where suffix != nil: evaluationOfLoader.log(entry, value: value, weight: weight)
        case .evaluation: evaluation.log(entry, value: value, weight: weight)
        case .none(let place): refuse(name, place)
        }
    }

    /// Takes note of a metric in a property of the module.
    mutating func log(
        _ name: String, metricIn attribute: String, progressBar: Bool, logger: Bool, addsLoaderIndex: Bool
    ) {
        guard isEnabled else { return }
        let suffix = suffix(of: name, addsLoaderIndex)
        let entry = MetricStore.Entry(
            name: name + (suffix ?? ""), reduction: .mean, onStep: false, onEpoch: true,
            showsInProgressBar: progressBar, goesToLogger: logger, attribute: attribute, suffix: suffix)
        let other: MetricStore
        switch scope {
        case .trainingBatch, .trainingEpoch:
            training.log(entry)
            other = evaluation
        case .evaluation:
            if suffix == nil { evaluation.log(entry) } else { evaluationOfLoader.log(entry) }
            let both = suffix == nil ? evaluationOfLoader : evaluation
            if let second = both.name(ofMetricIn: attribute) {
                fail(
                    "log(\"\(name)\"): the metric in '\(attribute)' is logged for each loader and for all of them, as \"\(second)\"; give each a metric of its own"
                )
            }
            other = training
        case .none(let place): refuse(name, place)
        }
        if let second = other.name(ofMetricIn: attribute) {
            fail(
                "log(\"\(name)\"): the metric in '\(attribute)' is logged as \"\(second)\" too, in training and in evaluation, which would mix their samples; give each a metric of its own"
            )
        }
    }

    /// What says which of several loaders a value comes from.
    private func suffix(of name: String, _ adds: Bool) -> String? {
        guard scope == .evaluation, let loaderIndex, adds else { return nil }
        guard !name.contains("/dataloader_idx_") else {
            fail("log(\"\(name)\"): the number of the data loader is added by the trainer; leave it out")
        }
        return "/dataloader_idx_\(loaderIndex)"
    }

    private func refuse(_ name: String, _ place: String) -> Never {
        fail("log(\"\(name)\"): nothing can be logged \(place); write to module.logger directly")
    }

    mutating func show(_ name: String, _ value: Double) {
        if let place = progressBarMetrics.firstIndex(where: { $0.name == name }) {
            progressBarMetrics[place].value = value
        } else {
            progressBarMetrics.append((name, value))
        }
    }

    /// Takes note of finished epoch values, and returns those for the loggers.
    mutating func finish(_ entries: [MetricStore.Entry]) -> [(name: String, value: Double)] {
        var forLoggers: [(String, Double)] = []
        for entry in entries {
            fresh.formUnion([entry.name, entry.onEpoch ? entry.epochName : entry.stepName])
            if entry.onStep {  // each rank had its own single value until now; this is rank 0's
                callbackMetrics[entry.stepName] = entry.last
                fresh.insert(entry.stepName)
            }
            guard entry.onEpoch else { continue }
            let value = entry.value
            callbackMetrics[entry.name] = value
            if entry.onStep { callbackMetrics[entry.epochName] = value }
            if entry.showsInProgressBar { show(entry.name, value) }
            if entry.goesToLogger { forLoggers.append((entry.epochName, value)) }
        }
        return forLoggers
    }

    /// The newest single values of the training epoch that the loggers have not seen.
    mutating func takeStepValues() -> [(name: String, value: Double)] { training.takeStepValues() }
}
