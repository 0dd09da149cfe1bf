import Foundation
import NN
import Optimizers
import Tensors

/// Averages the weights after each of the last epochs, which train with a constant learning rate (Izmailov et al., 2018).
///
/// From the first of those epochs on, learning rates move from where the schedules had them to the given one over some
/// epochs, and stay there. When training ends the module has the average, and one pass over the training data without
/// gradients makes the running moments of batch normalisation anew. Until then checkpoints hold the weights in training,
/// and the average besides. Unlike Lightning's, the average has the weights after the last epoch too.
public final class StochasticWeightAveraging: Callback {
    /// How learning rates move to the constant one.
    public enum Annealing: String, Sendable, Codable, CaseIterable {
        /// Along half a cosine.
        case cosine
        /// Along a straight line.
        case linear
    }

    /// The first epoch whose weights are averaged.
    public enum Start: Sendable, Equatable {
        /// A number, from 0.
        case epoch(Int)
        /// A share of all epochs: with 0.8 of 10 epochs, the ninth is the first.
        case fraction(Double)
    }

    private let learningRate: Double
    private let start: Start
    private let annealingEpochs: Int
    private let annealing: Annealing
    private var state = State()
    private var average = StateDictionary()

    private struct State: Codable {
        /// The weights averaged.
        var count = 0
        /// The learning rates of the groups before the first averaged epoch; nil before it.
        var rates: [Double]?
    }

    /// An average over the last epochs.
    ///
    /// - Parameters:
    ///   - learningRate: The learning rate that all groups come to.
    ///   - start: The first epoch of the average.
    ///   - annealingEpochs: The epochs in which learning rates move there; 0: at once.
    ///   - annealing: How they move.
    public init(
        learningRate: Double, start: Start = .fraction(0.8), annealingEpochs: Int = 10, annealing: Annealing = .cosine
    ) {
        self.learningRate = learningRate
        self.start = start
        self.annealingEpochs = annealingEpochs
        self.annealing = annealing
    }

    /// The weights that the average was made of.
    public var averageCount: Int { state.count }

    private func firstEpoch(_ trainer: Trainer) -> Int {
        switch start {
        case .epoch(let epoch): epoch
        case .fraction(let share): Int(Double(trainer.configuration.maxEpochs ?? 0) * share)
        }
    }

    /// Checks the numbers.
    public override func setup(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {
        guard stage == .fit else { return }
        guard let epochs = trainer.configuration.maxEpochs else {
            throw TrainingError("StochasticWeightAveraging needs maxEpochs, to know the last epochs")
        }
        guard learningRate > 0, annealingEpochs >= 0, (0..<max(epochs, 1)).contains(firstEpoch(trainer)) else {
            throw TrainingError(
                "StochasticWeightAveraging: learningRate \(learningRate) is positive, annealingEpochs \(annealingEpochs) at least 0, and the first epoch \(firstEpoch(trainer)) one of \(epochs)"
            )
        }
    }

    /// Forgets another run; one that goes on has the learning rates of its checkpoint.
    public override func onFitStart(_ trainer: Trainer, _ module: LightningModule) throws {
        if module is any ManualTrainingModule, let norm = module.namedModules.first(where: { $0.module is BatchNorm }) {
            throw TrainingError(
                "StochasticWeightAveraging: \(type(of: module)) applies gradients itself, so that its step cannot be run over the data to renew the moments of '\(norm.name)'; use LayerNorm or GroupNorm there, or EMAWeightAveraging"
            )
        }
        if !trainer.isResuming { (state, average) = (State(), StateDictionary()) }
        if state.rates != nil { trainer.suspendsSchedules = true }
    }

    /// Sets the learning rates of an epoch.
    public override func onTrainEpochStart(_ trainer: Trainer, _ module: LightningModule) {
        guard trainer.currentEpoch >= firstEpoch(trainer) else { return }
        if state.rates == nil { state.rates = groups(trainer).map(\.learningRate) }
        setRates(trainer)
    }

    /// The groups of all optimizers.
    private func groups(_ trainer: Trainer) -> [ParameterGroup] { trainer.optimizers.flatMap(\.groups) }

    private func setRates(_ trainer: Trainer) {
        trainer.suspendsSchedules = true
        let epochs = trainer.currentEpoch - firstEpoch(trainer)
        let time = annealingEpochs == 0 ? 1 : min(1, Double(epochs) / Double(annealingEpochs))
        let share = annealing == .linear ? time : (1 - cos(.pi * time)) / 2
        for (group, rate) in zip(groups(trainer), state.rates ?? []) {
            group.learningRate = learningRate * share + rate * (1 - share)
        }
    }

    /// Takes the weights of an epoch into the average, before they are saved.
    public override func onMetricsReady(_ trainer: Trainer, _ module: LightningModule, _ moment: MetricsMoment) {
        guard moment == .epoch, state.rates != nil, trainer.progress.batchInEpoch == 0 else { return }
        let share = 1 / Double(state.count + 1)
        withoutGradient {
            for (key, parameter) in module.namedParameters {
                let value = parameter.value.detached
                average[key] = average[key].map { $0 + (value - $0) * share } ?? value.copied()
            }
        }
        state.count += 1
    }

    /// The module gets the average.
    public override func onTrainEnd(_ trainer: Trainer, _ module: LightningModule) throws {
        guard state.count > 0 else { return }
        for (key, parameter) in module.namedParameters { if let value = average[key] { parameter.assign(value) } }
        try renewMoments(trainer, module)
    }

    /// Makes running moments the mean over the batches of one pass over the training data.
    private func renewMoments(_ trainer: Trainer, _ module: LightningModule) throws {
        let norms = module.namedModules.compactMap { $0.module as? BatchNorm }
        guard !norms.isEmpty else { return }
        let momenta = norms.map(\.momentum)
        for norm in norms {
            norm.runningMean.value = .zeros(norm.runningMean.value.shape)
            norm.runningVariance.value = .ones(norm.runningVariance.value.shape)
            norm.batchCount.value = Tensor(scalar: 0, dtype: .int64)
            norm.momentum = nil
        }
        defer { for (norm, momentum) in zip(norms, momenta) { norm.momentum = momentum } }
        try trainer.passOverTrainingData?()
        try trainer.strategy.synchronizeBuffers(module)
    }

    // MARK: - State

    /// How many weights were averaged, and the learning rates before.
    public override func saveState() throws -> String? { state.rates == nil ? nil : try JSON.encode(state) }

    /// Goes on averaging.
    public override func loadState(_ state: String) throws { self.state = try JSON.decode(State.self, from: state) }

    /// The average lies beside the model.
    public override func onSaveCheckpoint(
        _ trainer: Trainer, _ module: LightningModule, _ checkpoint: inout Checkpoint
    ) { if state.count > 0 { checkpoint.callbacks[stateKey] = average } }

    /// Goes on averaging.
    public override func onLoadCheckpoint(_ trainer: Trainer, _ module: LightningModule, _ checkpoint: Checkpoint) {
        let saved = checkpoint.callbacks[stateKey] ?? StateDictionary()
        average = StateDictionary()
        for (key, parameter) in module.namedParameters { average[key] = saved[key]?.converted(to: parameter.dtype) }
        if average.isEmpty { state.count = 0 }
    }
}
