import NN

extension Trainer {
    /// What a request probably does not mean, and what to do about it: a line each, before training.
    ///
    /// - Parameters:
    ///   - module: What is trained.
    ///   - validation: What it is validated by, if it is.
    ///   - batches: Training batches of an epoch.
    func hints(_ module: LightningModule, _ validation: (any Evaluation)?, batches: Int) throws -> [String] {
        guard !isTrial, !configuration.barebones else { return [] }
        return [
            loggingHint(ofEpochsWith: batches), validationHint(module, validation), modeHint(module),
            try validation.flatMap { try orderHint($0, "validation") },
        ].compactMap { $0 }
    }

    /// For a run so short that loggers would hear of no single step.
    private func loggingHint(ofEpochsWith batches: Int) -> String? {
        let every = configuration.logEverySteps
        guard !loggers.isEmpty, every > 0, let epochs = configuration.maxEpochs, configuration.maxSteps == nil,
            0 < batches, batches < .max
        else { return nil }
        let steps = (batches + accumulateGradientBatches - 1) / accumulateGradientBatches * epochs
        guard progress.step + steps < every else { return nil }
        return
            "\(steps) optimizer steps in all, and single values are logged every \(every); lower trainer.logEverySteps to see them"
    }

    /// For a validation step without data.
    private func validationHint(_ module: LightningModule, _ validation: (any Evaluation)?) -> String? {
        guard validation == nil, module is any ValidationModule else { return nil }
        return
            "\(type(of: module)) has a validationStep, and this fit has no validation data: nothing is validated; give it with fit(_:train:validation:)"
    }

    /// For layers that were put in evaluation mode before training, which puts all of them in training mode.
    private func modeHint(_ module: LightningModule) -> String? {
        let modes = module.modes, evaluating = modes.count { !$0.isTraining }
        guard evaluating > 0 else { return nil }
        return
            "\(evaluating) of \(modes.count) modules are in evaluation mode, and training puts all in training mode; call evaluate() in onTrainStart on those that shall stay in it"
    }

    /// For an evaluation in random order: it costs time and changes no metric.
    func orderHint(_ evaluation: any Evaluation, _ name: String) throws -> String? {
        guard try evaluation.isShuffled() else { return nil }
        return "the \(name) loader shuffles, which changes no metric; leave out shuffles: true"
    }
}
