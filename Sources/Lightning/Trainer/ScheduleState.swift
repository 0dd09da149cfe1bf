import Optimizers

/// A learning-rate schedule with its counter.
struct ScheduleState {
    let configuration: ScheduleConfiguration
    /// The optimizer whose learning rates it sets.
    let optimizerIndex: Int
    /// Intervals passed.
    private(set) var intervals = 0

    /// What a checkpoint holds of it.
    struct Saved: Codable {
        var intervals: Int
        var plateau: PlateauSchedule.State?
    }

    init(_ configuration: ScheduleConfiguration, optimizerIndex: Int) {
        self.configuration = configuration
        self.optimizerIndex = optimizerIndex
    }

    /// Moves a function of time by one step of its own; false for a plateau schedule.
    mutating func move() -> Bool {
        guard case .function = configuration.kind else { return false }
        intervals += configuration.frequency
        return true
    }

    /// Shows a plateau schedule its metric; false for a function of time.
    mutating func observe(_ value: Double) -> Bool {
        guard case .plateau(let schedule, _, _) = configuration.kind else { return false }
        intervals += configuration.frequency
        _ = schedule.observe(value)
        return true
    }

    /// Counts one interval of a kind; plateau schedules look at their metric.
    ///
    /// - Parameters:
    ///   - interval: What has passed.
    ///   - metric: Gives a metric by name, or nil when it has no new value; an error if it must have one.
    /// - Throws: ``TrainingError`` when the monitored metric does not exist, with the names that do.
    mutating func advance(
        _ interval: ScheduleConfiguration.Interval, metric: (_ name: String, _ strict: Bool) throws -> Double?
    ) throws {
        guard interval == configuration.interval else { return }
        intervals += 1
        guard case .plateau(let schedule, let monitor, let strict) = configuration.kind,
            intervals % configuration.frequency == 0
        else { return }
        if let value = try metric(monitor, strict) { _ = schedule.observe(value) }
    }

    /// What the initial learning rate is multiplied by now.
    var factor: Double {
        switch configuration.kind {
        case .function(let schedule): schedule.factor(after: intervals / configuration.frequency)
        case .plateau(let schedule, _, _): schedule.state.factor
        }
    }

    var saved: Saved {
        if case .plateau(let schedule, _, _) = configuration.kind {
            return Saved(intervals: intervals, plateau: schedule.state)
        }
        return Saved(intervals: intervals)
    }

    mutating func restore(_ saved: Saved) {
        intervals = saved.intervals
        if case .plateau(let schedule, _, _) = configuration.kind, let state = saved.plateau { schedule.state = state }
    }
}

extension Trainer {
    /// The schedules, to be moved by hand.
    public var learningRateSchedulers: [LearningRateScheduler] {
        schedules.indices.map { LearningRateScheduler($0, of: self) }
    }

    /// Moves all schedules by one interval and sets the learning rates, unless the module does that itself.
    func advanceSchedules(_ interval: ScheduleConfiguration.Interval) throws {
        guard !schedules.isEmpty, manualState == nil else { return }
        for index in schedules.indices {
            try schedules[index].advance(interval) { name, strict in
                guard strict || logging.callbackMetrics[name] != nil else { return nil }
                let value = try monitored(name, by: "a plateau schedule", .epoch)
                guard value != nil || interval != .validation || !strict else {
                    throw TrainingError(
                        "a plateau schedule counts validations, and none logs '\(name)', which it monitors; let it count epochs (interval: .epoch)"
                    )
                }
                return value
            }
        }
        applySchedules()
    }

    /// Sets the learning rate of every group to its initial one times all factors of its optimizer's schedules.
    func applySchedules() {
        guard !schedules.isEmpty, !suspendsSchedules else { return }
        for (index, optimizer) in optimizers.enumerated() {
            let own = schedules.lazy.filter { $0.optimizerIndex == index }
            guard !own.isEmpty else { continue }
            let factor = own.reduce(1) { $0 * $1.factor }
            for group in optimizer.groups { group.learningRate = group.initialLearningRate * factor }
        }
    }
}
