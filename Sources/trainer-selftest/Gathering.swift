import Lightning
import TrainerFixtures

/// Gathers tensors of equal and unequal shapes, alone and in collections.
func gather(_ options: Options) throws {
    let trainer = try options.run.makeTrainer()
    let module = try ToyModule(options.run.module)
    module.atEpochEnd = { module in
        let rank = module.globalRank
        let equal = try module.allGather(Tensor([Double(rank), 10]))
        report(trainer, "equal", "\(equal.shape) \(equal.doubles)")
        let unequal = try module.allGatherUnequal(Tensor((0...rank).map { Int64($0) }))
        report(
            trainer, "unequal",
            unequal.map { "\($0.dtype) \($0.shape) \($0.doubles)" }.joined(separator: ", "))
        let own = Tensor([Double(rank)])
        let nested: [String: [Tensor?]] = ["b": [own + 1, nil], "a": [own], "c": []]
        let all = try module.allGather(nested)
        report(trainer, "nested", "\(describe(all))")
        report(
            trainer, "nested by rank",
            try module.allGatherUnequal(nested).map(describe).joined(separator: " "))
        if options.kind == "unequal" { _ = try module.allGather(Tensor(filling: 1, shape: [rank + 1])) }
    }
    try trainer.fit(module, train: options.run.loader(options.run.samples))
}

private func describe(_ nested: [String: [Tensor?]]) -> String {
    nested.sorted { $0.key < $1.key }.map { key, tensors in
        key + tensors.map { $0.map { "\($0.shape)\($0.doubles)" } ?? "nil" }.joined()
    }.joined(separator: ",")
}

/// A module whose loss compares all samples of all ranks with each other.
private final class ComparingModule: LightningModule, TrainingModule {
    private let weight: Parameter

    override init() {
        weight = Parameter(Initializer.normal(deviation: 0.5)([2, 3], dtype: .float64))
        super.init()
    }

    func trainingStep(_ batch: NumberedBatch, batchIndex: Int) throws -> Tensor {
        let own = batch.inputs.linear(weight: weight.value, bias: nil).tanh()
        let gathered = try allGather(["rows": own], syncGradients: true)
        guard let rows = gathered["rows"] else { throw OnPurpose("no rows") }
        let all = rows.reshaped(to: [rows.shape[0] * rows.shape[1], 2])
        return (all.matmul(all.transposed()) - 0.5).squared().mean()
            + (own - batch.targets).squared().mean()
    }

    func configureOptimizers() -> OptimizerConfiguration {
        .init(SGD(parameters, learningRate: 0.2, momentum: 0.9))
    }
}

/// Trains it.
func trainComparing(_ options: Options) throws {
    let run = options.run
    let trainer = try run.makeTrainer()
    let module = ComparingModule()
    try trainer.fit(module, train: run.loader(run.samples))
    report(trainer, "reductions", trainer.strategy.reductionCount)
    try trainer.saveCheckpoint(run.directory + "/" + options.final)
}

/// Uses a module before it has a trainer, and after its trainer is gone.
func useWithoutTrainer(_ options: Options) throws {
    let module = try ToyModule(options.run.module)
    let place = { "\(module.globalRank)/\(module.worldSize) \(module.localRank) \(module.nodeRank)" }
    let before = place()
    weak var gone: Trainer?
    do {
        let trainer = try options.run.makeTrainer()
        gone = trainer
        try trainer.fit(module, train: options.run.loader(options.run.samples))
    }
    guard gone == nil, module.attachedTrainer == nil else { throw OnPurpose("the trainer is still there") }
    guard place() == before else { throw OnPurpose("'\(before)' became '\(place())'") }
    let own = Tensor([Double(module.globalRank)])
    let gathered = try module.allGather(own)
    let total = MeanMetric()
    total.update(Double(module.globalRank))
    let mean = try module.computeOverRanks(total)
    // Rank 0 alone prints.
    module.print("place: \(before)")
    module.print("gathered: \(gathered.doubles)")
    module.print("mean: \(mean)")
    guard options.kind == "gradients" else { return }
    _ = try module.allGather(own, syncGradients: true)
}
