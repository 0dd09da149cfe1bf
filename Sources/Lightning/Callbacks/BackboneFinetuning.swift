import NN
import Optimizers
import Tensors

/// Trains the rest of a module first, and a part of it, the backbone, from some epoch on with a smaller learning rate.
///
/// The backbone is frozen when a fit begins. In the epoch asked for its parameters become a group of the optimizer,
/// called `backbone`, whose learning rate is a share of that of the first group and grows from epoch to epoch until it
/// has caught up. Schedules go on as before, for all groups.
public final class BackboneFinetuning: Callback {
    private let find: (LightningModule) throws -> Module
    private let unfreezeEpoch: Int
    private let ratio: Double
    private let rate: Double?
    private let growth: (Int) -> Double
    private let aligns: Bool
    private let trainsBatchNorm: Bool
    /// The group's learning rate before schedules, once there is a group.
    private var initialRate: Double?

    /// A plan for a backbone.
    ///
    /// - Parameters:
    ///   - backbone: The part of the module, such as `\Classifier.backbone`; it exists once `setup` has run.
    ///   - epoch: The epoch (from 0) from which on it is trained.
    ///   - ratio: Its learning rate then, as a share of the first group's.
    ///   - learningRate: Its learning rate then, instead of a share.
    ///   - growth: What its learning rate is multiplied by at the beginning of each later epoch.
    ///   - aligns: Whether it stops growing at the learning rate of the first group.
    ///   - trainsBatchNorm: Whether batch normalisation in the backbone is trained from the beginning.
    public init<M: LightningModule, B: Module>(
        _ backbone: KeyPath<M, B>, unfreezeAtEpoch epoch: Int = 10, ratio: Double = 0.1, learningRate: Double? = nil,
        aligns: Bool = true, trainsBatchNorm: Bool = true, growth: @escaping (_ epoch: Int) -> Double = { _ in 2 }
    ) {
        find = { module in
            guard let own = module as? M else {
                throw TrainingError("BackboneFinetuning of a \(M.self) cannot be used with a \(type(of: module))")
            }
            return own[keyPath: backbone]
        }
        unfreezeEpoch = epoch
        self.ratio = ratio
        rate = learningRate
        self.growth = growth
        self.aligns = aligns
        self.trainsBatchNorm = trainsBatchNorm
    }

    /// The parameters that are frozen in the beginning.
    private func frozenParameters(_ module: LightningModule) throws -> [Parameter] {
        let backbone = try find(module)
        guard trainsBatchNorm else { return backbone.parameters }
        let norms = ([backbone] + backbone.namedModules.map(\.module)).compactMap { $0 as? BatchNorm }
        let kept = Set(norms.flatMap(\.parameters).map { ObjectIdentifier($0) })
        return backbone.parameters.filter { !kept.contains(ObjectIdentifier($0)) }
    }

    /// Freezes the backbone, before the optimizer is made.
    public override func setup(_ trainer: Trainer, _ module: LightningModule, _ stage: RunStage) throws {
        guard stage == .fit else { return }
        guard unfreezeEpoch >= 0, ratio > 0, rate ?? 1 > 0 else {
            throw TrainingError(
                "BackboneFinetuning: the epoch \(unfreezeEpoch) is at least 0, the learning rate \(rate ?? ratio) positive"
            )
        }
        initialRate = nil
        for parameter in try frozenParameters(module) { parameter.requiresGradient = false }
    }

    /// Checks that it is known which optimizer trains the backbone.
    public override func onFitStart(_ trainer: Trainer, _ module: LightningModule) throws {
        let known = Set(trainer.optimizers.flatMap(\.parameters).map { ObjectIdentifier($0) })
        guard module is any ManualTrainingModule,
            try frozenParameters(module).contains(where: { !known.contains(ObjectIdentifier($0)) })
        else { return }
        throw TrainingError(
            "BackboneFinetuning: \(type(of: module)) applies gradients itself, and it is not known which of its optimizers is to train the backbone; give it the backbone's parameters in configureOptimizers, where they wait while they are frozen"
        )
    }

    /// Unfreezes the backbone, or moves its learning rate on.
    public override func onTrainEpochStart(_ trainer: Trainer, _ module: LightningModule) throws {
        guard let optimizer = trainer.optimizer else { return }
        let epoch = trainer.currentEpoch
        guard let old = initialRate else {
            guard epoch >= unfreezeEpoch else { return }
            try unfreeze(module, trainer.optimizers, rate: rate ?? optimizer.groups[0].initialLearningRate * ratio)
            return
        }
        let grown = old * growth(epoch)
        set(aligns ? min(grown, optimizer.groups[0].initialLearningRate) : grown, optimizer)
    }

    private func unfreeze(_ module: LightningModule, _ optimizers: [Optimizer], rate: Double) throws {
        let parameters = try frozenParameters(module)
        for parameter in parameters { parameter.requiresGradient = true }
        // Those that the module gave to the optimizer itself stay in their group.
        let known = Set(optimizers.flatMap(\.parameters).map { ObjectIdentifier($0) })
        let new = parameters.filter { !known.contains(ObjectIdentifier($0)) }
        optimizers[0].addGroup(ParameterGroup(new, learningRate: rate, name: "backbone"))
        set(rate, optimizers[0])
    }

    /// Sets the learning rate before schedules, and with them applied.
    private func set(_ rate: Double, _ optimizer: Optimizer) {
        initialRate = rate
        let first = optimizer.groups[0]
        let factor = first.initialLearningRate == 0 ? 1 : first.learningRate / first.initialLearningRate
        optimizer.groups.last { $0.name == "backbone" }?
            .restore(initialLearningRate: rate, learningRate: rate * factor)
    }

    // MARK: - State

    /// The group's learning rate, once it is trained.
    public override func saveState() throws -> String? { try initialRate.map { try JSON.encode($0) } }

    /// The group's learning rate.
    public override func loadState(_ state: String) throws { initialRate = try JSON.decode(Double.self, from: state) }

    /// Adds the group to the optimizer before its state is restored.
    public override func onLoadCheckpoint(
        _ trainer: Trainer, _ module: LightningModule, _ checkpoint: Checkpoint
    ) throws {
        guard let rate = initialRate, !trainer.optimizers.isEmpty else { return }
        try unfreeze(module, trainer.optimizers, rate: rate)
    }
}
