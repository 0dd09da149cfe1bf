import NN
import Optimizers
import Tensors

extension Trainer {
    /// Asks a module for its optimizers, and says how its batches are to be optimized.
    ///
    /// - Throws: ``TrainingError`` when the module cannot be optimized so, or the flags exclude it.
    func configureOptimization<M: TrainableModule>(
        of module: M
    ) throws -> any BatchOptimization<M.TrainingBatch> {
        let automatic = module as? any TrainingModule<M.TrainingBatch>
        let manual = module as? any ManualTrainingModule<M.TrainingBatch>
        switch (automatic, manual) {
        case (let automatic?, nil): return try automaticOptimization(of: automatic)
        case (nil, let manual?): return try manualOptimization(of: manual)
        default:
            throw TrainingError(
                "\(M.self) must be a TrainingModule, whose trainingStep returns a loss, or a ManualTrainingModule, which applies gradients itself, and not \(automatic == nil ? "neither" : "both")"
            )
        }
    }

    private func automaticOptimization<M: TrainingModule>(
        of module: M
    ) throws -> any BatchOptimization<M.TrainingBatch> {
        manualState = nil
        let configured = try timed(.configureOptimizers, module) { try module.configureOptimizers() }
        try install([configured], of: module)
        return AutomaticOptimization(trainer: self, module: module, optimizer: configured.optimizer)
    }

    private func manualOptimization<M: ManualTrainingModule>(
        of module: M
    ) throws -> any BatchOptimization<M.TrainingBatch> {
        if configuration.clipping != nil {
            throw TrainingError(
                "\(M.self) applies gradients itself, so that the trainer cannot clip them: remove trainer.gradientClipNorm and trainer.gradientClipValue, and call clipGradients in the training step"
            )
        }
        if configuration.accumulateGradientBatches > 1 {
            throw TrainingError(
                "\(M.self) applies gradients itself, so that the trainer cannot gather them: remove trainer.accumulateGradientBatches, and call step() after every \(configuration.accumulateGradientBatches) batches in the training step"
            )
        }
        let configured = try timed(.configureOptimizers, module) { try module.configureOptimizers() }
        guard !configured.isEmpty else {
            throw TrainingError("configureOptimizers of \(M.self) returned no optimizer")
        }
        let state = ManualState(self)
        manualState = state
        try install(configured, of: module)
        strategy.prepareManualSteps(configured.map(\.optimizer.parameters))
        return ManualOptimization(trainer: self, module: module, state: state)
    }

    private func install(_ configured: [OptimizerConfiguration], of module: LightningModule) throws {
        for (index, one) in configured.enumerated() {
            try check(one.optimizer, against: module)
            if let first = configured[..<index].firstIndex(where: { $0.optimizer === one.optimizer }) {
                throw TrainingError(
                    "configureOptimizers of \(type(of: module)) returned the same optimizer as number \(first) and as number \(index)"
                )
            }
        }
        lightningOptimizers = configured.enumerated().map { LightningOptimizer($1.optimizer, index: $0, self) }
        schedules = configured.enumerated().flatMap { index, one in
            one.schedules.map { ScheduleState($0, optimizerIndex: index) }
        }
    }

    /// A parameter that only the optimizer knows would be updated by each rank's own gradient.
    private func check(_ optimizer: Optimizer, against module: LightningModule) throws {
        let known = Set(module.parameters.map { ObjectIdentifier($0) })
        guard let stray = optimizer.parameters.first(where: { !known.contains(ObjectIdentifier($0)) }) else { return }
        throw TrainingError(
            "the optimizer has a parameter of shape \(stray.shape) that is not the module's; keep it, or the layer it belongs to, in a stored property of \(type(of: module))"
        )
    }
}
