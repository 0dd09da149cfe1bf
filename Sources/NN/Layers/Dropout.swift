import Tensors

/// Sets elements to 0 at random in training; does nothing in evaluation.
public final class Dropout: Module, Layer {
    private let probability: Double

    /// Drops each element with the given probability.
    public init(_ probability: Double = 0.5) {
        require(probability >= 0 && probability < 1, "Dropout", "a probability of \(probability); it is in 0 ..< 1")
        self.probability = probability
    }

    /// The input with some elements dropped and the others scaled.
    public func callAsFunction(_ input: Tensor) -> Tensor { isTraining ? input.droppedOut(probability) : input }
}

/// Sets whole channels to 0 at random in training; does nothing in evaluation (Tompson et al., 2015).
public final class Dropout2d: Module, Layer {
    private let probability: Double

    /// Drops each channel of each image with the given probability.
    public init(_ probability: Double = 0.5) {
        require(probability >= 0 && probability < 1, "Dropout2d", "a probability of \(probability); it is in 0 ..< 1")
        self.probability = probability
    }

    /// `[batch, channels, …]` with some channels dropped and the others scaled.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        guard isTraining, probability > 0 else { return input }
        require(input.rank >= 2, "Dropout2d", "input \(input.shape) instead of [batch, channels, …]")
        let channels = Shape(
            [input.shape[0], input.shape[1]] + Array(repeating: 1, count: input.rank - 2))
        return input * Tensor.ones(channels, dtype: input.dtype).droppedOut(probability)
    }
}
