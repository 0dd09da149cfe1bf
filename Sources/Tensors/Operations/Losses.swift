import CKernels

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

/// Softmax cross-entropy between logits and class labels, in one fused operation.
///
/// - Parameters:
///   - logits: `[…, classes]`, unnormalised log-probabilities.
///   - labels: `[…]`, class indices as `int64`.
///   - ignoredLabel: A label that does not count, neither in the sum nor in the mean's divisor.
///   - labelSmoothing: The share of each target spread evenly over all classes, 0 … 1.
///   - reduction: Mean by default.
/// - Precondition: the shapes agree, and every label is a class or the ignored label.
public func crossEntropy(
    _ logits: Tensor, _ labels: Tensor, ignoredLabel: Int = -100, labelSmoothing: Double = 0,
    reduction: LossReduction = .mean
) -> Tensor {
    require(
        logits.dtype.isFloatingPoint && logits.rank >= 1 && labels.dtype == .int64, "crossEntropy",
        "logits \(logits.dtype) \(logits.shape), labels \(labels.dtype) \(labels.shape); labels are int64")
    var rowShape = logits.shape
    let classes = rowShape.remove(at: rowShape.count - 1)
    require(
        labels.shape == rowShape, "crossEntropy",
        "logits \(logits.shape) need labels of shape \(rowShape), not \(labels.shape)")
    if logits.dtype == .bfloat16 {
        return crossEntropy(
            logits.widened(), labels, ignoredLabel: ignoredLabel, labelSmoothing: labelSmoothing, reduction: reduction)
    }
    let x = logits.detached.contiguous(), targets = labels.detached.contiguous()
    let rows = rowShape.elementCount
    let counted = countLabels(targets, classes: classes, ignored: ignoredLabel)
    let size = x.dtype.byteCount
    let lossRows = Tensor(uninitialized: [rows], dtype: x.dtype)
    // The peak of each row, and behind them the log-sums.
    let saved = Tensor(uninitialized: [2, rows], dtype: x.dtype)
    let logSums = rows * size
    let labelPointer = targets.pointer.assumingMemoryBound(to: Int64.self)
    x.inRows(of: classes) { count, start in
        let row = start / (classes * size)
        ck_cross_entropy(
            x.dtype.kernelType, count, Int64(classes), x.pointer + start, labelPointer + row, Int64(ignoredLabel),
            labelSmoothing, saved.freshPointer + row * size, saved.freshPointer + logSums + row * size,
            lossRows.freshPointer + row * size)
    }
    let divisor = reduction == .mean ? Double(counted) : 1
    let value = reduction == .none ? lossRows.reshaped(to: rowShape) : lossRows.sum()
    if reduction == .mean {
        ck_affine(x.dtype.kernelType, 1, value.pointer, 1 / divisor, 0, value.freshPointer)
    }
    return value.recorded("crossEntropy", logits) { gradient in
        let gx = Tensor(uninitialized: x.shape, dtype: x.dtype)
        let scale = reduction == .none ? 1 : gradient.item / divisor
        let labelPointer = targets.pointer.assumingMemoryBound(to: Int64.self)
        x.inRows(of: classes) { count, start in
            let row = start / (classes * size)
            ck_cross_entropy_gradient(
                x.dtype.kernelType, count, Int64(classes), x.pointer + start, saved.pointer + row * size,
                saved.pointer + logSums + row * size, labelPointer + row, Int64(ignoredLabel), labelSmoothing, scale,
                gx.freshPointer + start)
        }
        return [reduction == .none ? gx * gradient.expandingDimension(at: -1) : gx]
    }
}

/// Checks that labels are classes, and counts those that count.
private func countLabels(_ labels: Tensor, classes: Int, ignored: Int) -> Int {
    labels.withUnsafeBytes { bytes in
        var counted = 0
        for label in bytes.bindMemory(to: Int64.self) where label != Int64(ignored) {
            require(
                label >= 0 && label < Int64(classes), "crossEntropy",
                "label \(label) is not one of the classes 0 ..< \(classes)")
            counted += 1
        }
        return counted
    }
}

/// Traps unless there is one label for each row of class scores.
private func requireLabels(_ operation: StaticString, _ scores: Tensor, _ labels: Tensor) {
    require(
        scores.rank >= 1 && labels.dtype == .int64 && labels.shape == Shape(scores.shape.dropLast()), operation,
        "scores \(scores.dtype) \(scores.shape), labels \(labels.dtype) \(labels.shape); one int64 label per row")
}

/// The negative of the log-probabilities at the labels, averaged; for inputs that went through `logSoftmax`.
public func negativeLogLikelihood(_ logProbabilities: Tensor, _ labels: Tensor) -> Tensor {
    requireLabels("negativeLogLikelihood", logProbabilities, labels)
    // Selected, not multiplied by 0 and 1: a class that is ruled out has −∞, and 0 · ∞ is not a number.
    let mask = Tensor.oneHot(labels, classes: logProbabilities.shape[-1], dtype: .uint8)
    let wide = logProbabilities.widened()
    return -Tensor.select(where: mask, wide, Tensor(scalar: 0, dtype: wide.dtype)).sum() / Double(labels.elementCount)
}

/// The mean squared difference.
public func meanSquaredError(_ prediction: Tensor, _ target: Tensor) -> Tensor {
    require(
        prediction.shape == target.shape, "meanSquaredError", "prediction \(prediction.shape), target \(target.shape)")
    return (prediction.widened() - target.widened()).squared().mean()
}

/// The mean absolute difference.
public func meanAbsoluteError(_ prediction: Tensor, _ target: Tensor) -> Tensor {
    require(
        prediction.shape == target.shape, "meanAbsoluteError", "prediction \(prediction.shape), target \(target.shape)")
    return (prediction.widened() - target.widened()).absolute().mean()
}

/// Mean binary cross-entropy between logits and targets in 0 … 1, without overflow: max(x, 0) − x·t + log(1 + e^−|x|).
public func binaryCrossEntropy(logits: Tensor, _ target: Tensor) -> Tensor {
    require(
        logits.shape == target.shape, "binaryCrossEntropy", "logits \(logits.shape), target \(target.shape)")
    let (x, t) = (logits.widened(), target.widened())
    return (x.softplus() - x * t).mean()
}

/// The share of rows whose largest logit is at the label, 0 … 1.
///
/// - Parameters:
///   - logits: `[…, classes]`.
///   - labels: `[…]` as `int64`.
/// - Returns: A `float32` scalar without gradient.
public func accuracy(_ logits: Tensor, _ labels: Tensor) -> Tensor {
    requireLabels("accuracy", logits, labels)
    let hits = logits.detached.argmax(along: -1) .== labels
    return hits.converted(to: .float32).mean()
}
