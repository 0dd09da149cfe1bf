import Tensors

/// The Swift side of one golden case: the operation, and how exact it is.
struct GoldenOperation: Sendable {
    /// Takes the inputs of the case and gives its results.
    let apply: @Sendable ([Tensor]) -> [Tensor]
    /// What `float32` values may differ from PyTorch's `float64` ones, relative and absolute.
    let tolerance: Double
    /// The same for gradients.
    let gradientTolerance: Double

    init(_ tolerance: Double, gradients: Double? = nil, _ apply: @escaping @Sendable ([Tensor]) -> [Tensor]) {
        self.apply = apply
        self.tolerance = tolerance
        gradientTolerance = gradients ?? tolerance
    }
}

/// Rounding of one `float32` operation is 6e-8 relative; `exact` allows three of them.
private let exact = 2e-7
/// Transcendental functions, and sums of a few terms.
private let close = 4e-7
/// Sums of products, and chains of several roundings.
private let chained = 1e-6

private func map(
    _ tolerance: Double = exact, gradients: Double? = nil, _ function: @escaping @Sendable (Tensor) -> Tensor
)
    -> GoldenOperation
{
    GoldenOperation(tolerance, gradients: gradients) { [function($0[0])] }
}

private func pair(_ tolerance: Double = exact, _ function: @escaping @Sendable (Tensor, Tensor) -> Tensor)
    -> GoldenOperation
{
    GoldenOperation(tolerance, gradients: chained) { [function($0[0], $0[1])] }
}

/// Every operation by the name its case has in the golden file.
let goldenOperations: [String: GoldenOperation] = {
    var all: [String: GoldenOperation] = [:]
    for group in [
        unaryOperations, pairOperations, viewOperations, reductionOperations, lossOperations, tableOperations,
        normalizationOperations, windowOperations, attentionOperations, productOperations, weightedLossOperations,
        activationOperations,
    ] {
        all.merge(group) { first, _ in first }
    }
    return all
}()

private let unaryOperations: [String: GoldenOperation] = [
    "exp": map(close) { $0.exp() },
    "tanh": map(close) { $0.tanh() },
    "sigmoid": map(close) { $0.sigmoid() },
    "relu": map { $0.relu() },
    "gelu": map(close) { $0.gelu() },
    "silu": map(close) { $0.silu() },
    "softplus": map(close) { $0.softplus() },
    "absolute": map { $0.absolute() },
    "squared": map { $0.squared() },
    "sin": map { $0.sin() },
    "cos": map { $0.cos() },
    "negative": map { -$0 },
    "clamped": map { $0.clamped(to: -1...2) },
    "plusNumber": map { $0 + 1.25 },
    "numberPlus": map { 1.25 + $0 },
    "minusNumber": map { $0 - 0.75 },
    "numberMinus": map { 0.75 - $0 },
    "timesNumber": map { $0 * -1.7 },
    "numberTimes": map { -1.7 * $0 },
    "overNumber": map { $0 / 3 },
    "log": map { $0.log() },
    "squareRoot": map { $0.squareRoot() },
    "reciprocalSquareRoot": map { $0.reciprocalSquareRoot() },
    "power2.5": map { $0.power(2.5) },
    "power-1.5": map { $0.power(-1.5) },
    "reciprocal": map { $0.reciprocal() },
    "numberOver": map { 2.5 / $0 },
    "power2": map { $0.power(2) },
    "power3": map { $0.power(3) },
    "converted": map { $0.converted(to: $0.dtype == .float32 ? .float64 : .float32) },
]

private let pairOperations: [String: GoldenOperation] = {
    var all: [String: GoldenOperation] = [:]
    for kind in ["same", "row", "column", "outer", "deep", "scalar", "ties"] {
        all["add.\(kind)"] = pair { $0 + $1 }
        all["subtract.\(kind)"] = pair { $0 - $1 }
        all["multiply.\(kind)"] = pair { $0 * $1 }
        all["divide.\(kind)"] = pair { $0 / $1 }
        all["maximum.\(kind)"] = pair { Tensor.maximum($0, $1) }
        all["minimum.\(kind)"] = pair { Tensor.minimum($0, $1) }
        all["equal.\(kind)"] = pair { $0 .== $1 }
        all["notEqual.\(kind)"] = pair { $0 .!= $1 }
        all["less.\(kind)"] = pair { $0 .< $1 }
        all["lessEqual.\(kind)"] = pair { $0 .<= $1 }
        all["greater.\(kind)"] = pair { $0 .> $1 }
        all["greaterEqual.\(kind)"] = pair { $0 .>= $1 }
        all["select.\(kind)"] = pair { a, b in Tensor.select(where: a.detached * 2 .< b.detached, a, b) }
    }
    return all
}()

private let viewOperations: [String: GoldenOperation] = [
    "reshaped": map { $0.reshaped(to: [4, 6]) },
    "reshaped.unknown": map { $0.reshaped(to: [3, -1]) },
    "reshaped.transposed": map { $0.transposed(0, 2).reshaped(to: [6, 4]) },
    "flattened": map { $0.flattened() },
    "flattened.all": map { $0.flattened(from: 0) },
    "transposed": map { $0.transposed() },
    "transposed.outer": map { $0.transposed(0, 2) },
    "permuted": map { $0.permuted([2, 0, 1]) },
    "expandingDimension": map { $0.expandingDimension(at: 1) },
    "expandingDimension.last": map { $0.expandingDimension(at: -1) },
    "squeezed": map { $0.slice(1..<2, along: 1).transposed(0, 2).squeezed(1) },
    "slice": map { $0.slice(1..<3, along: 1) },
    "slice.last": map { $0.slice(1..<3, along: -1) },
    "slice.first": map { $0[1..<2] },
    "selectIndex": map { $0.select(-1, along: 2) },
    "subscript": map { $0[1] },
    "contiguous": map { $0.transposed(0, 1).contiguous() },
    "expanded": map(gradients: close) { $0.expanded(to: [2, 4, 3]) },
    "expanded.rank": map(gradients: close) { $0.expanded(to: [2, 4, 3]) },
    "split": GoldenOperation(exact) { $0[0].split([1, 3], along: -1) },
    "split.first": GoldenOperation(exact) { $0[0].split([2, 1, 2]) },
    "concatenate": GoldenOperation(exact) { [Tensor.concatenate($0)] },
    "concatenate.last": GoldenOperation(exact) { [Tensor.concatenate($0, along: -1)] },
    "stack": GoldenOperation(exact) { [Tensor.stack($0)] },
    "stack.last": GoldenOperation(exact) { [Tensor.stack($0, along: -1)] },
]

private let reductionOperations: [String: GoldenOperation] = [
    "sum": map(chained) { $0.sum() },
    "sum.first": map(close) { $0.sum(along: 0) },
    "sum.middle": map(close) { $0.sum(along: 1) },
    "sum.last": map(close) { $0.sum(along: -1) },
    "sum.ends": map(chained) { $0.sum(along: [0, 2]) },
    "sum.leading": map(chained) { $0.sum(along: [0, 1]) },
    "sum.trailing": map(chained) { $0.sum(along: [1, 2], keepingDimensions: true) },
    "mean": map(close) { $0.mean() },
    "mean.middle": map(close) { $0.mean(along: 1, keepingDimensions: true) },
    "mean.ends": map(close) { $0.mean(along: [0, -1]) },
    "variance": map(chained) { $0.variance(along: [0, 1, 2]) },
    "variance.last": map(chained) { $0.variance(along: [-1], correction: 0, keepingDimensions: true) },
    "variance.ends": map(chained) { $0.variance(along: [0, 2]) },
    "max": map { $0.max() },
    "min": map { $0.min() },
    "max.first": map { $0.max(along: 0) },
    "max.last": map { $0.max(along: -1) },
    "min.middle": map { $0.min(along: 1, keepingDimensions: true) },
    "argmax": map { $0.argmax() },
    "argmin": map { $0.argmin(along: 1) },
    "argmax.first": map { $0.argmax(along: 0) },
    "softmax": map(close) { $0.softmax() },
    "softmax.middle": map(close) { $0.softmax(along: 1) },
    "softmax.first": map(close) { $0.softmax(along: 0) },
    "logSoftmax": map(close) { $0.logSoftmax() },
    "logSoftmax.first": map(close) { $0.logSoftmax(along: 0) },
    "softmax.wide": map(close) { $0.softmax() },
    "logSoftmax.wide": map(close) { $0.logSoftmax() },
]

private let lossOperations: [String: GoldenOperation] = {
    var all: [String: GoldenOperation] = [
        "crossEntropy.sequence": pair(close) { crossEntropy($0, $1) },
        "crossEntropy.wide": pair(close) { crossEntropy($0, $1) },
        "negativeLogLikelihood": pair(close) { negativeLogLikelihood($0.logSoftmax(), $1) },
        "meanSquaredError": pair(close) { meanSquaredError($0, $1) },
        "meanAbsoluteError": pair(close) { meanAbsoluteError($0, $1) },
        "binaryCrossEntropy": pair(close) { binaryCrossEntropy(logits: $0, $1) },
        "accuracy": pair { accuracy($0, $1) },
    ]
    for reduction in LossReduction.allCases {
        let plain = pair(close) { crossEntropy($0, $1, reduction: reduction) }
        all["crossEntropy.\(reduction)"] = plain
        all["crossEntropy.ignored.\(reduction)"] = plain
        all["crossEntropy.smoothed.\(reduction)"] = pair(close) {
            crossEntropy($0, $1, labelSmoothing: 0.1, reduction: reduction)
        }
    }
    return all
}()

/// Losses with weights, and each reduction of those that have one.
private let weightedLossOperations: [String: GoldenOperation] = {
    var all: [String: GoldenOperation] = [
        "negativeLogLikelihood.ignored": pair(close) { negativeLogLikelihood($0.logSoftmax(), $1) }
    ]
    let classes = Tensor([0.5, 2.0, 1.0, 0.25, 3.0]), some = Tensor([1.0, 0.5, 2.0, 0.75, 1.25])
    let positive = Tensor([1.0, 2.0, 0.5, 3.0, 1.5])
    for reduction in LossReduction.allCases {
        let cases: [(String, @Sendable (Tensor, Tensor) -> Tensor)] = [
            ("crossEntropy.weighted", { crossEntropy($0, $1, classWeights: classes, reduction: reduction) }),
            (
                "crossEntropy.weighted.smoothed",
                { crossEntropy($0, $1, labelSmoothing: 0.2, classWeights: classes, reduction: reduction) }
            ),
            ("crossEntropy.probabilities", { crossEntropy($0, probabilities: $1, reduction: reduction) }),
            (
                "negativeLogLikelihood.weighted",
                { negativeLogLikelihood($0.logSoftmax(), $1, classWeights: classes, reduction: reduction) }
            ),
            ("meanSquaredError", { meanSquaredError($0, $1, reduction: reduction) }),
            ("meanAbsoluteError", { meanAbsoluteError($0, $1, reduction: reduction) }),
            ("smoothAbsoluteError", { smoothAbsoluteError($0, $1, beta: 1.5, reduction: reduction) }),
            ("huberError", { huberError($0, $1, delta: 1.5, reduction: reduction) }),
            (
                "binaryCrossEntropy.weighted",
                {
                    binaryCrossEntropy(
                        logits: $0, $1, weights: some, positiveWeights: positive, reduction: reduction)
                }
            ),
            (
                "binaryCrossEntropy.probabilities",
                { binaryCrossEntropy(probabilities: $0, $1, weights: some, reduction: reduction) }
            ),
            ("klDivergence", { klDivergence($0.logSoftmax(), $1, reduction: reduction) }),
            (
                "klDivergence.logarithm",
                { klDivergence($0.logSoftmax(), $1, isLogarithm: true, reduction: reduction) }
            ),
        ]
        for (name, function) in cases { all["\(name).\(reduction)"] = pair(chained, function) }
    }
    return all
}()

private let activationOperations: [String: GoldenOperation] = [
    "leakyReLU": map { $0.leakyReLU(slope: 0.2) },
    "elu": map(close) { $0.elu(alpha: 1.5) },
    "logSigmoid": map(close) { $0.logSigmoid() },
    "mish": map(chained) { $0.mish() },
    "hardSwish": map(close) { $0.hardSwish() },
    "hardSigmoid": map(close) { $0.hardSigmoid() },
]

private let tableOperations: [String: GoldenOperation] = [
    "rows": pair { $0.rows(at: $1) },
    "rows.vector": pair { $0.rows(at: $1) },
    "rows.deep": pair { $0.rows(at: $1) },
    "oneHot": pair { $0 * Tensor.oneHot($1, classes: 4, dtype: $0.dtype) },
]

private let normalizationOperations: [String: GoldenOperation] = [
    "layerNorm.plain": map(close, gradients: chained) { $0.layerNorm(weight: nil, bias: nil) },
    "layerNorm.weight": pair(close) { $0.layerNorm(weight: $1, bias: nil, epsilon: 1e-3) },
    "layerNorm": GoldenOperation(close, gradients: chained) { [$0[0].layerNorm(weight: $0[1], bias: $0[2])] },
    "batchNorm": batchNormOperation,
    "batchNorm.plain": batchNormOperation,
    "batchNorm.matrix": batchNormOperation,
    "batchNorm.given": GoldenOperation(chained, gradients: chained) { inputs in
        let mean = Tensor([0.25, -0.5, 1.0]).converted(to: inputs[0].dtype)
        let variance = Tensor([1.5, 0.5, 2.0]).converted(to: inputs[0].dtype)
        return [inputs[0].batchNorm(weight: inputs[1], bias: inputs[2], moments: (mean, variance)).result]
    },
]

private let batchNormOperation = GoldenOperation(close, gradients: chained) { inputs in
    let affine = inputs.count == 3
    let (result, mean, variance) = inputs[0].batchNorm(
        weight: affine ? inputs[1] : nil, bias: affine ? inputs[2] : nil)
    return [result, mean, variance]
}

private let windowOperations: [String: GoldenOperation] = [
    "convolved": convolution(Window(kernel: 3)),
    "convolved.plain": convolution(Window(kernel: 3)),
    "convolved.strided": convolution(Window(kernel: (3, 3), stride: (2, 3), padding: (1, 2))),
    "convolved.dilated": convolution(Window(kernel: (3, 3), padding: (2, 1), dilation: (2, 1))),
    "convolved.grouped": convolution(Window(kernel: (3, 2), padding: (1, 1)), groups: 2),
    "convolved.depthwise": convolution(Window(kernel: 3, stride: 2), groups: 4),
    "convolved.pointwise": convolution(Window(kernel: 1)),
    "convolved.pointwise.grouped": convolution(Window(kernel: 1), groups: 2),
    "convolved.pointwise.strided": convolution(Window(kernel: 1, stride: 2)),
    "maxPooled": map { $0.maxPooled(Window(kernel: 2, stride: 2)) },
    "maxPooled.overlapping": map(gradients: close) {
        $0.maxPooled(Window(kernel: (3, 2), stride: (2, 1), padding: (1, 1)))
    },
    "maxPooled.dilated": map(gradients: close) { $0.maxPooled(Window(kernel: (2, 2), dilation: (3, 2))) },
    "averagePooled": map { $0.averagePooled(Window(kernel: 2, stride: 2)) },
    "averagePooled.overlapping": map(close) {
        $0.averagePooled(Window(kernel: (3, 2), stride: (2, 1), padding: (1, 1)))
    },
]

/// Sums of up to 36 products forward, of 60 backward.
private func convolution(_ window: Window, groups: Int = 1) -> GoldenOperation {
    GoldenOperation(chained, gradients: chained) { inputs in
        let bias = inputs.count == 3 ? inputs[2] : nil
        return [inputs[0].convolved(weight: inputs[1], bias: bias, window: window, groups: groups)]
    }
}

private let attentionOperations: [String: GoldenOperation] = {
    var all: [String: GoldenOperation] = [
        "attention.projected": map(chained) { x in
            let parts = x.split([6, 6, 6], along: -1).map { $0.reshaped(to: [2, 5, 2, 3]).transposed(1, 2) }
            let result = scaledDotProductAttention(query: parts[0], key: parts[1], value: parts[2], isCausal: true)
            return result.transposed(1, 2).reshaped(to: [2, 5, 6])
        }
    ]
    for name in ["square", "short", "one"] {
        for isCausal in [false, true] {
            all["attention.\(isCausal ? "causal." : "")\(name)"] = GoldenOperation(chained) {
                [scaledDotProductAttention(query: $0[0], key: $0[1], value: $0[2], isCausal: isCausal)]
            }
        }
    }
    return all
}()

private let productOperations: [String: GoldenOperation] = {
    var all: [String: GoldenOperation] = [
        "matmul.tn": pair(chained) { $0.transposed().matmul($1) },
        "matmul.nt": pair(chained) { $0.matmul($1.transposed()) },
        "matmul.tt": pair(chained) { $0.transposed().matmul($1.transposed()) },
        "matmul.batch.tt": pair(chained) { $0.transposed().matmul($1.transposed()) },
        "matmul.batch.matrix.t": pair(chained) { $0.transposed().matmul($1.transposed()) },
        "linear.transposed": GoldenOperation(chained) {
            [$0[0].transposed().linear(weight: $0[1].transposed(), bias: $0[2])]
        },
    ]
    for name in [
        "matmul", "matmul.batch", "matmul.batch.matrix", "matmul.matrix.batch", "matmul.broadcast",
        "matmul.broadcast.deep", "matmul.vectors", "matmul.vector.matrix", "matmul.matrix.vector",
        "matmul.batch.vector", "matmul.vector.batch", "matmul.row.column", "matmul.column.row", "matmul.tall",
    ] {
        all[name] = pair(chained) { $0.matmul($1) }
    }
    for name in ["linear", "linear.plain", "linear.batch", "linear.vector"] {
        all[name] = GoldenOperation(chained) { [$0[0].linear(weight: $0[1], bias: $0.count == 3 ? $0[2] : nil)] }
    }
    return all
}()
