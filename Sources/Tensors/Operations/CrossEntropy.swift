import CKernels

/// Softmax cross-entropy between logits and class labels, in one fused operation.
///
/// - Parameters:
///   - logits: `[…, classes]`, unnormalised log-probabilities.
///   - labels: `[…]`, class indices as `int64`.
///   - ignoredLabel: A label that does not count, neither in the sum nor in the mean's divisor.
///   - labelSmoothing: The share of each target spread evenly over all classes, 0 … 1.
///   - classWeights: `[classes]`: how much each class counts, also in the mean's divisor; all the same when nil.
///   - reduction: Mean by default.
/// - Precondition: the shapes agree, and every label is a class or the ignored label.
public func crossEntropy(
    _ logits: Tensor, _ labels: Tensor, ignoredLabel: Int = -100, labelSmoothing: Double = 0,
    classWeights: Tensor? = nil, reduction: LossReduction = .mean
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
            logits.widened(), labels, ignoredLabel: ignoredLabel, labelSmoothing: labelSmoothing,
            classWeights: classWeights, reduction: reduction)
    }
    if let classWeights {
        return weightedLikelihood(
            "crossEntropy", logits.logSoftmax(), labels, classWeights: classWeights, ignored: ignoredLabel,
            smoothing: labelSmoothing, reduction)
    }
    let x = logits.detached.contiguous(), targets = labels.detached.contiguous()
    let rows = rowShape.elementCount
    let counted = countLabels("crossEntropy", targets, classes: classes, ignored: ignoredLabel)
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
private func countLabels(_ operation: StaticString, _ labels: Tensor, classes: Int, ignored: Int) -> Int {
    labels.withUnsafeBytes { bytes in
        var counted = 0
        for label in bytes.bindMemory(to: Int64.self) where label != Int64(ignored) {
            require(
                label >= 0 && label < Int64(classes), operation,
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

/// The negative of the log-probabilities at the labels; for inputs that went through `logSoftmax`.
///
/// - Parameters:
///   - logProbabilities: `[…, classes]`.
///   - labels: `[…]`, class indices as `int64`.
///   - ignoredLabel: A label that does not count, neither in the sum nor in the mean's divisor.
///   - classWeights: `[classes]`: how much each class counts, also in the mean's divisor; all the same when nil.
///   - reduction: Mean by default.
public func negativeLogLikelihood(
    _ logProbabilities: Tensor, _ labels: Tensor, ignoredLabel: Int = -100, classWeights: Tensor? = nil,
    reduction: LossReduction = .mean
) -> Tensor {
    weightedLikelihood(
        "negativeLogLikelihood", logProbabilities.widened(), labels, classWeights: classWeights, ignored: ignoredLabel,
        smoothing: 0, reduction)
}

/// Cross-entropy between logits and class probabilities: the mean of −Σ p · log softmax(x) over rows.
///
/// - Parameters:
///   - logits: `[…, classes]`, unnormalised log-probabilities.
///   - probabilities: `[…, classes]`, of each class.
///   - reduction: Mean by default.
public func crossEntropy(
    _ logits: Tensor, probabilities: Tensor, reduction: LossReduction = .mean
) -> Tensor {
    require(
        logits.rank >= 1 && logits.shape == probabilities.shape, "crossEntropy",
        "logits \(logits.shape), probabilities \(probabilities.shape)")
    return (-(logits.widened().logSoftmax() * probabilities.widened()).sum(along: -1)).reduced(reduction)
}

/// −Σ weight · log-probability at the labels, made of other operations.
private func weightedLikelihood(
    _ operation: StaticString, _ scores: Tensor, _ labels: Tensor, classWeights: Tensor?, ignored: Int,
    smoothing: Double, _ reduction: LossReduction
) -> Tensor {
    requireLabels(operation, scores, labels)
    let classes = scores.shape[-1], zero = Tensor(scalar: 0, dtype: scores.dtype)
    if let classWeights {
        require(
            classWeights.shape == [classes], operation, "class weights \(classWeights.shape) for \(classes) classes")
    }
    let counted = countLabels(operation, labels.detached.contiguous(), classes: classes, ignored: ignored)
    let counts = labels .!= Tensor(scalar: Double(ignored), dtype: .int64)
    let known = Tensor.select(where: counts, labels, Tensor(scalar: 0, dtype: .int64))
    // Selected, not multiplied by 0 and 1: a class that is ruled out has −∞, and 0 · ∞ is not a number.
    let hot = Tensor.oneHot(known, classes: classes, dtype: .uint8)
    var loss = -Tensor.select(where: hot, scores, zero).sum(along: -1)
    var divisor = Double(counted)
    if let weights = classWeights?.detached.converted(to: scores.dtype) {
        let rows = weights.rows(at: known)
        loss = loss * rows
        divisor = Tensor.select(where: counts, rows, zero).sum().item
        if smoothing > 0 {
            loss = loss * (1 - smoothing) - (scores * weights).sum(along: -1) * (smoothing / Double(classes))
        }
    }
    loss = Tensor.select(where: counts, loss, zero)
    return reduction == .mean ? loss.sum() / divisor : loss.reduced(reduction)
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
