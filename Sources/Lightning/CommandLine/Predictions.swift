import HDF5
import Tensors

extension Trainer {
    /// Writes predictions to `predictions.h5` in the run's directory, on rank 0.
    ///
    /// - Returns: The path of the file.
    @discardableResult
    public func writePredictions(_ rows: Tensor?) throws -> String {
        let path = try runDirectory() + "/predictions.h5"
        guard let rows else { throw TrainingError("there were no samples to predict for") }
        guard isGlobalZero else { return path }
        var file = Checkpoint()
        file.model["predictions"] = rows
        try file.writeTensors(to: path)
        print("\(rows.shape[0]) predictions of shape \(rows.shape) written to \(path)")
        return path
    }
}
