/// How a loss over many elements becomes one tensor.
public enum LossReduction: String, Sendable, Codable, CaseIterable {
    /// The mean over all elements that count.
    case mean
    /// Their sum.
    case sum
    /// One value per element.
    case none
}

// Losses of bfloat16 tensors are float32: with 8 bits, a loss near 2 could only move in steps of 0.016.

extension Tensor {
    /// A loss with one value per element, reduced.
    func reduced(_ reduction: LossReduction) -> Tensor {
        switch reduction {
        case .mean: mean()
        case .sum: sum()
        case .none: self
        }
    }
}

/// Prediction and target of one shape, in a type that losses are made in.
private func difference(_ operation: StaticString, _ prediction: Tensor, _ target: Tensor) -> Tensor {
    require(prediction.shape == target.shape, operation, "prediction \(prediction.shape), target \(target.shape)")
    return prediction.widened() - target.widened()
}

/// The squared difference, by default its mean.
public func meanSquaredError(_ prediction: Tensor, _ target: Tensor, reduction: LossReduction = .mean) -> Tensor {
    difference("meanSquaredError", prediction, target).squared().reduced(reduction)
}

/// The absolute difference, by default its mean.
public func meanAbsoluteError(_ prediction: Tensor, _ target: Tensor, reduction: LossReduction = .mean) -> Tensor {
    difference("meanAbsoluteError", prediction, target).absolute().reduced(reduction)
}

/// The absolute difference less beta / 2, and a parabola d² / (2 · beta) where it is below beta (Girshick, 2015).
///
/// - Parameters:
///   - prediction: Any shape.
///   - target: The same shape.
///   - beta: Where the parabola ends; positive.
///   - reduction: Mean by default.
public func smoothAbsoluteError(
    _ prediction: Tensor, _ target: Tensor, beta: Double = 1, reduction: LossReduction = .mean
) -> Tensor {
    require(beta > 0, "smoothAbsoluteError", "a beta of \(beta); it is positive")
    let distance = difference("smoothAbsoluteError", prediction, target).absolute()
    // With c = min(d, beta) both branches are c · (d − c / 2) / beta.
    let within = distance.clamped(to: 0...beta)
    return (within * (distance - within * 0.5) / beta).reduced(reduction)
}

/// The squared difference halved, and a line of slope delta where it is above delta (Huber, 1964).
///
/// - Parameters:
///   - prediction: Any shape.
///   - target: The same shape.
///   - delta: Where the line begins; positive.
///   - reduction: Mean by default.
public func huberError(
    _ prediction: Tensor, _ target: Tensor, delta: Double = 1, reduction: LossReduction = .mean
) -> Tensor {
    smoothAbsoluteError(prediction, target, beta: delta, reduction: reduction) * delta
}
