import Lightning

/// A small network in double precision, with every switch the tests need.
public final class ToyModule: LightningModule, HyperparameterModule, TrainingModule, ValidationModule, TestModule,
    PredictionModule
{
    /// The switches.
    public struct Hyperparameters: Codable, Sendable, Equatable, DefaultInitializable {
        /// Width of the hidden layer.
        public var hidden = 5
        /// Share of hidden activations dropped in training.
        public var dropout = 0.0
        /// Whether there is a parameter that no step uses.
        public var hasUnused = false
        /// Whether the first layer's bias is frozen.
        public var isBiasFrozen = false
        /// Whether gradients are halved after the backward pass, which every rank must do or none.
        public var halvesGradients = false
        /// The initial learning rate.
        public var learningRate = 0.05
        /// The schedule: `none`, `step`, `epoch` or `plateau`.
        public var schedule = "none"
        /// The metric that a plateau schedule watches.
        public var plateauMonitor = "val_loss"
        /// What a plateau schedule counts.
        public var plateauInterval = ScheduleConfiguration.Interval.validation

        /// The defaults.
        public init() {}
    }

    /// What this network was built from.
    public let hyperparameters: Hyperparameters
    private let weight: Parameter
    private let bias: Parameter
    private let output: Parameter
    private let unused: Parameter?

    /// Sample numbers seen, by stage and epoch: `train 0`, `val`, `test`, `predict`.
    public var seen: [String: [Int]] = [:]
    /// The losses of training steps in order.
    public var losses: [Double] = []
    /// Called before training batches.
    public var atBatchStart: ((Int) throws -> Void)?
    /// Called at the beginning of training steps.
    public var inTraining: ((ToyModule, NumberedBatch, Int) throws -> Void)?
    /// Called at the beginning of validation steps.
    public var inValidation: ((ToyModule, NumberedBatch, Int) throws -> Void)?
    /// Called at the end of training steps.
    public var inLoss: ((ToyModule) throws -> Void)?
    /// Called before backward passes.
    public var beforeBackward: ((ToyModule) throws -> Void)?
    /// Called instead of the backward pass.
    public var inBackward: ((ToyModule, Tensor) throws -> Void)?
    /// Called at the end of a training epoch.
    public var atEpochEnd: ((ToyModule) throws -> Void)?

    /// Builds the network.
    public init(_ hyperparameters: Hyperparameters) throws {
        self.hyperparameters = hyperparameters
        let normal = Initializer.normal(deviation: 0.5)
        weight = Parameter(normal([hyperparameters.hidden, 3], dtype: .float64))
        bias = Parameter(normal([hyperparameters.hidden], dtype: .float64))
        output = Parameter(normal([2, hyperparameters.hidden], dtype: .float64))
        unused = hyperparameters.hasUnused ? Parameter(normal([4], dtype: .float64)) : nil
        super.init()
        if hyperparameters.isBiasFrozen { bias.requiresGradient = false }
    }

    /// `[samples, 3]` to `[samples, 2]`.
    public func callAsFunction(_ inputs: Tensor) -> Tensor {
        var hidden = inputs.linear(weight: weight.value, bias: bias.value).tanh()
        if isTraining { hidden = hidden.droppedOut(hyperparameters.dropout) }
        return hidden.linear(weight: output.value, bias: nil)
    }

    /// Logs `train_loss`.
    public func trainingStep(_ batch: NumberedBatch, batchIndex: Int) throws -> Tensor {
        try inTraining?(self, batch, batchIndex)
        seen["train \(currentEpoch)", default: []] += batch.indices
        let loss = meanSquaredError(self(batch.inputs), batch.targets)
        losses.append(loss.item)
        log("train_loss", loss, onStep: true, onEpoch: true)
        try inLoss?(self)
        return loss
    }

    /// Logs `val_loss`.
    public func validationStep(_ batch: NumberedBatch, batchIndex: Int) throws {
        try inValidation?(self, batch, batchIndex)
        if !trainer.isSanityChecking { seen["val", default: []] += batch.indices }
        log("val_loss", meanSquaredError(self(batch.inputs), batch.targets))
    }

    /// Logs `test_loss`, and the sum of the sample numbers as `test_sum`.
    public func testStep(_ batch: NumberedBatch, batchIndex: Int) throws {
        seen["test", default: []] += batch.indices
        log("test_loss", meanSquaredError(self(batch.inputs), batch.targets))
        log("test_sum", Double(batch.indices.reduce(0, +)), reduce: .sum)
        log("test_max", Double(batch.indices.max() ?? 0), reduce: .max)
    }

    /// The outputs with the sample's number before them.
    public func predictStep(_ batch: NumberedBatch, batchIndex: Int) throws -> Tensor {
        seen["predict", default: []] += batch.indices
        let numbers = Tensor(batch.indices.map(Double.init), shape: [batch.sampleCount, 1])
        let outputs = self(batch.inputs)
        return Tensor.concatenate([numbers.converted(to: outputs.dtype), outputs], along: 1)
    }

    /// SGD with momentum and weight decay, and a schedule.
    public func configureOptimizers() throws -> OptimizerConfiguration {
        let optimizer = SGD(
            parameters, learningRate: hyperparameters.learningRate, momentum: 0.9, weightDecay: 0.01)
        switch hyperparameters.schedule {
        case "step": return .init(optimizer, schedule: ExponentialSchedule(gamma: 0.97), interval: .step, frequency: 2)
        case "epoch": return .init(optimizer, schedule: StepSchedule(every: 1, gamma: 0.7))
        case "plateau":
            return .init(
                optimizer,
                schedules: [
                    ScheduleConfiguration(
                        plateau: PlateauSchedule(decay: 0.5, patience: 0, threshold: 0.5),
                        monitor: hyperparameters.plateauMonitor, interval: hyperparameters.plateauInterval)
                ])
        default: return .init(optimizer)
        }
    }

    /// Calls ``atBatchStart``.
    public override func onTrainBatchStart(_ batch: any DataBatch, batchIndex: Int) throws {
        try atBatchStart?(batchIndex)
    }

    /// Calls ``beforeBackward``.
    public override func onBeforeBackward(_ loss: Tensor) throws { try beforeBackward?(self) }

    /// Calls ``inBackward``, or does what every module does.
    public override func backward(_ loss: Tensor) throws {
        if let inBackward { try inBackward(self, loss) } else { try super.backward(loss) }
    }

    /// Halves the gradients, when asked to.
    public override func onAfterBackward() {
        guard hyperparameters.halvesGradients else { return }
        for parameter in parameters { if let gradient = parameter.gradient { parameter.setGradient(gradient * 0.5) } }
    }

    /// Logs what does not come from batches, on ranks without any too.
    public override func onValidationEpochEnd() { log("val_ends", 1, reduce: .max) }

    /// Calls ``atEpochEnd``.
    public override func onTrainEpochEnd() throws { try atEpochEnd?(self) }
}
