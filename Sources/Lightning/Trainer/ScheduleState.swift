import Optimizers

/// A learning-rate schedule with its counter.
struct ScheduleState {
    let configuration: ScheduleConfiguration
    /// Intervals passed.
    private(set) var intervals = 0

    /// What a checkpoint holds of it.
    struct Saved: Codable {
        var intervals: Int
        var plateau: PlateauSchedule.State?
    }

    init(_ configuration: ScheduleConfiguration) { self.configuration = configuration }

    /// Counts one interval of a kind; plateau schedules look at their metric.
    ///
    /// - Parameters:
    ///   - interval: What has passed.
    ///   - metric: Gives a metric by name, or nil when it has no new value.
    /// - Throws: ``TrainingError`` when the monitored metric does not exist, with the names that do.
    mutating func advance(
        _ interval: ScheduleConfiguration.Interval, metric: (_ name: String) throws -> Double?
    ) throws {
        guard interval == configuration.interval else { return }
        intervals += 1
        guard case .plateau(let schedule, let monitor) = configuration.kind, intervals % configuration.frequency == 0
        else { return }
        if let value = try metric(monitor) { _ = schedule.observe(value) }
    }

    /// What the initial learning rate is multiplied by now.
    var factor: Double {
        switch configuration.kind {
        case .function(let schedule): schedule.factor(after: intervals / configuration.frequency)
        case .plateau(let schedule, _): schedule.state.factor
        }
    }

    var saved: Saved {
        if case .plateau(let schedule, _) = configuration.kind {
            return Saved(intervals: intervals, plateau: schedule.state)
        }
        return Saved(intervals: intervals)
    }

    mutating func restore(_ saved: Saved) {
        intervals = saved.intervals
        if case .plateau(let schedule, _) = configuration.kind, let state = saved.plateau { schedule.state = state }
    }
}

extension Trainer {
    /// Moves all schedules by one interval and sets the learning rates.
    func advanceSchedules(_ interval: ScheduleConfiguration.Interval) throws {
        guard !schedules.isEmpty else { return }
        for index in schedules.indices {
            try schedules[index].advance(interval) { name in
                let value = try monitored(name, by: "a plateau schedule", .epoch)
                guard value != nil || interval != .validation else {
                    throw TrainingError(
                        "a plateau schedule counts validations, and none logs '\(name)', which it monitors; let it count epochs (interval: .epoch)"
                    )
                }
                return value
            }
        }
        applySchedules()
    }

    /// Sets the learning rate of every group to its initial one times all factors.
    func applySchedules() {
        guard let optimizer, !schedules.isEmpty, !suspendsSchedules else { return }
        let factor = schedules.reduce(1) { $0 * $1.factor }
        for group in optimizer.groups { group.learningRate = group.initialLearningRate * factor }
    }
}
