// Losses between probabilities.

/// Binary cross-entropy between logits and targets in 0 … 1, without overflow: (1 − t) · x + log(1 + e⁻ˣ).
///
/// - Parameters:
///   - logits: Any shape.
///   - target: The same shape, probabilities.
///   - weights: How much each element counts, of a shape that can be broadcast; it does not change the mean's divisor.
///   - positiveWeights: How much the part with target 1 counts, of a shape that can be broadcast.
///   - reduction: Mean by default.
public func binaryCrossEntropy(
    logits: Tensor, _ target: Tensor, weights: Tensor? = nil, positiveWeights: Tensor? = nil,
    reduction: LossReduction = .mean
) -> Tensor {
    require(
        logits.shape == target.shape, "binaryCrossEntropy", "logits \(logits.shape), target \(target.shape)")
    let (x, t) = (logits.widened(), target.widened())
    let loss: Tensor
    if let positive = positiveWeights?.converted(to: x.dtype) {
        loss = (1 - t) * x + ((positive - 1) * t + 1) * (-x).softplus()
    } else {
        loss = x.softplus() - x * t
    }
    return (weights.map { loss * $0.converted(to: x.dtype) } ?? loss).reduced(reduction)
}

/// Binary cross-entropy between probabilities and targets in 0 … 1; logarithms are held above −100, as in PyTorch.
///
/// Prefer ``binaryCrossEntropy(logits:_:weights:positiveWeights:reduction:)``, which is exact for all logits.
/// - Parameters:
///   - probabilities: Any shape.
///   - target: The same shape, probabilities.
///   - weights: How much each element counts, of a shape that can be broadcast; it does not change the mean's divisor.
///   - reduction: Mean by default.
public func binaryCrossEntropy(
    probabilities: Tensor, _ target: Tensor, weights: Tensor? = nil, reduction: LossReduction = .mean
) -> Tensor {
    require(
        probabilities.shape == target.shape, "binaryCrossEntropy",
        "probabilities \(probabilities.shape), target \(target.shape)")
    let (p, t) = (probabilities.widened(), target.widened())
    // Held above the smallest positive number first: at 0 the logarithm's gradient would not be a number.
    let least = p.dtype == .float64 ? Double.leastNormalMagnitude : Double(Float.leastNormalMagnitude)
    func logarithm(_ x: Tensor) -> Tensor {
        Tensor.select(
            where: x .> Tensor(scalar: 0, dtype: x.dtype), x.clamped(to: least ... .infinity).log(),
            Tensor(scalar: -100, dtype: x.dtype)
        ).clamped(to: -100 ... .infinity)
    }
    let loss = -(t * logarithm(p) + (1 - t) * logarithm(1 - p))
    return (weights.map { loss * $0.converted(to: p.dtype) } ?? loss).reduced(reduction)
}

/// The Kullback–Leibler divergence of a target from a prediction: t · (log t − x), 0 where t is 0.
///
/// Its `mean` is over elements, as in PyTorch; the divergence proper is the sum divided by the size of the batch.
/// - Parameters:
///   - logProbabilities: Any shape, the logarithms of what is predicted.
///   - target: The same shape, probabilities or their logarithms.
///   - isLogarithm: Whether `target` holds logarithms.
///   - reduction: Mean by default.
public func klDivergence(
    _ logProbabilities: Tensor, _ target: Tensor, isLogarithm: Bool = false, reduction: LossReduction = .mean
) -> Tensor {
    require(
        logProbabilities.shape == target.shape, "klDivergence",
        "prediction \(logProbabilities.shape), target \(target.shape)")
    let (x, t) = (logProbabilities.widened(), target.widened())
    if isLogarithm { return (t.exp() * (t - x)).reduced(reduction) }
    let least = t.dtype == .float64 ? Double.leastNormalMagnitude : Double(Float.leastNormalMagnitude)
    return (t * (t.clamped(to: least ... .infinity).log() - x)).reduced(reduction)
}
