import NN
import Tensors

extension Trainer {
    /// Does a step, and finds the operation that made the first number that is not finite, when the flag is set.
    ///
    /// - Throws: ``TrainingError`` with its name.
    func watched<Result>(_ step: () throws -> Result) throws -> Result {
        guard configuration.detectAnomaly else { return try step() }
        let (result, found) = try AnomalyWatch.watching(step)
        if let found {
            throw TrainingError(
                "detectAnomaly: the first number that is not finite came out of \(found), \(place); look at what goes into it"
            )
        }
        return result
    }

    /// Finds the parameter whose gradient is not finite, after a backward pass, when the flag is set.
    ///
    /// - Throws: ``TrainingError`` with its name.
    func checkGradients(of module: Module) throws {
        guard configuration.detectAnomaly else { return }
        for (name, parameter) in module.namedParameters {
            guard let gradient = parameter.gradient, !gradient.isFinite else { continue }
            throw TrainingError(
                "detectAnomaly: the gradient of parameter '\(name)' is not finite, \(place), though all results of the forward pass are; look at operations whose slope is not finite, such as a root at 0"
            )
        }
    }

    private var place: String { "at epoch \(progress.epoch), batch \(progress.batchInEpoch)" }
}
