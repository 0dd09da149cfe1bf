import Lightning

/// Two small networks in double precision that are trained against each other by hand.
public final class AdversarialToy: LightningModule, HyperparameterModule, ManualTrainingModule, ValidationModule {
    /// The switches.
    public struct Hyperparameters: Codable, Sendable, Equatable {
        /// Batches whose gradients the generator gathers before it applies them.
        public var gathered = 1
        /// The norm the critic's gradients are clipped to.
        public var clip: Double?
        /// Whether an optimizer is toggled while its loss is differentiated.
        public var toggles = true
        /// Whether learning rates fall.
        public var hasSchedules = true
        /// Whether the critic has a parameter that no loss depends on.
        public var hasUnused = false

        /// A plain run.
        public init() {}
    }

    /// The switches.
    public let hyperparameters: Hyperparameters
    /// Makes inputs into something like targets.
    public let generator: Parameter
    /// Tells targets from what the generator makes.
    public let critic: Parameter
    private let unused: Parameter?
    /// Done at the beginning of training steps.
    public var inTraining: ((AdversarialToy, Int) throws -> Void)?

    /// Two networks.
    public init(_ hyperparameters: Hyperparameters) {
        self.hyperparameters = hyperparameters
        let normal = Initializer.normal(deviation: 0.5)
        generator = Parameter(normal([2, 3], dtype: .float64))
        critic = Parameter(normal([1, 2], dtype: .float64))
        unused = hyperparameters.hasUnused ? Parameter(normal([4], dtype: .float64)) : nil
        super.init()
    }

    /// What the generator makes of a batch.
    public func made(_ batch: NumberedBatch) -> Tensor {
        batch.inputs.linear(weight: generator.value, bias: nil).tanh()
    }

    private func score(_ rows: Tensor) -> Tensor { rows.linear(weight: critic.value, bias: nil) }

    /// How far the critic is from taking what is made for real.
    public func generatorLoss(_ batch: NumberedBatch) -> Tensor { (score(made(batch)) - 1).squared().mean() }

    /// How badly the critic tells apart.
    public func criticLoss(_ batch: NumberedBatch) -> Tensor {
        (score(batch.targets) - 1).squared().mean() + score(made(batch)).squared().mean()
    }

    /// The generator, then the critic.
    public func trainingStep(_ batch: NumberedBatch, batchIndex: Int) throws {
        try inTraining?(self, batchIndex)
        let (first, second) = (optimizers()[0], optimizers()[1])
        let applies = (batchIndex + 1) % hyperparameters.gathered == 0
        try toggled(first, synchronizes: applies) {
            if batchIndex % hyperparameters.gathered == 0 { first.zeroGradients() }
            let loss = generatorLoss(batch)
            try manualBackward(loss)
            if applies { try first.step() }
            log("generator_loss", loss, onEpoch: true)
        }
        try toggled(second, synchronizes: true) {
            try second.step {
                second.zeroGradients()
                try manualBackward(criticLoss(batch))
                if let clip = hyperparameters.clip { try clipGradients(second, .norm(clip)) }
            }
        }
        for scheduler in learningRateSchedulers() { try scheduler.step() }
    }

    private func toggled(_ optimizer: LightningOptimizer, synchronizes: Bool, _ body: () throws -> Void) throws {
        guard hyperparameters.toggles else { return try body() }
        try withToggledOptimizer(optimizer, synchronizesGradients: synchronizes, body)
    }

    /// Logs `val_loss`.
    public func validationStep(_ batch: NumberedBatch, batchIndex: Int) { log("val_loss", criticLoss(batch)) }

    /// Two kinds of optimizer; the second has a schedule of its own.
    public func configureOptimizers() -> [OptimizerConfiguration] {
        let optimizers = (
            SGD([generator], learningRate: 0.1, momentum: 0.9),
            Adam([critic] + (unused.map { [$0] } ?? []), learningRate: 0.02)
        )
        guard hyperparameters.hasSchedules else { return [.init(optimizers.0), .init(optimizers.1)] }
        return [
            .init(optimizers.0, schedule: ExponentialSchedule(gamma: 0.9), frequency: 2),
            .init(optimizers.1, schedule: StepSchedule(every: 2, gamma: 0.5)),
        ]
    }
}
