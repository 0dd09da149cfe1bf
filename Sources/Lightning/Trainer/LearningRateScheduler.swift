import Optimizers

/// A learning-rate schedule of a fit, as a module moves it by hand.
///
/// ``LightningModule/learningRateSchedulers()`` gives them. With automatic optimization the trainer moves them, and a
/// module need not.
public struct LearningRateScheduler {
    private let trainer: Trainer
    private let place: Int

    init(_ place: Int, of trainer: Trainer) {
        self.trainer = trainer
        self.place = place
    }

    /// The name it was configured with.
    public var name: String? { trainer.schedules[place].configuration.name }
    /// The optimizer whose learning rates it sets: its place in what `configureOptimizers` returned.
    public var optimizerIndex: Int { trainer.schedules[place].optimizerIndex }
    /// What the initial learning rates are multiplied by now.
    public var factor: Double { trainer.schedules[place].factor }

    /// Moves a schedule that is a function of time by one step, whatever its interval and frequency are.
    ///
    /// - Throws: ``TrainingError`` for a plateau schedule, which needs a value.
    public func step() throws {
        guard trainer.schedules[place].move() else {
            throw TrainingError(
                "learning-rate schedule \(place) watches a metric: give its value, with step(observing:)")
        }
        trainer.applySchedules()
    }

    /// Shows a plateau schedule the value it watches; the same on all ranks.
    ///
    /// - Throws: ``TrainingError`` for a schedule that is a function of time.
    public func step(observing value: Double) throws {
        guard trainer.schedules[place].observe(value) else {
            throw TrainingError("learning-rate schedule \(place) watches no metric: move it with step()")
        }
        trainer.applySchedules()
    }
}
