import Tensors

/// How the first values of a parameter are drawn.
///
/// All draw from the `initialization` stream of the random context, so a model made after the same seed has the same
/// values.
public enum Initializer: Sendable {
    /// All equal.
    case constant(Double)
    /// Evenly from −bound to bound.
    case uniform(bound: Double)
    /// Normal with mean 0.
    case normal(deviation: Double)
    /// He et al., 2015, for layers before a rectifier: uniform with bound √(6 / ((1 + slope²) · inputs)).
    case kaimingUniform(inputs: Int, slope: Double)
    /// Glorot & Bengio, 2010: uniform with bound √(6 / (inputs + outputs)).
    case xavierUniform(inputs: Int, outputs: Int)
    /// He et al., 2015: normal with deviation √(2 / ((1 + slope²) · inputs)).
    case kaimingNormal(inputs: Int, slope: Double)
    /// Glorot & Bengio, 2010: normal with deviation √(2 / (inputs + outputs)).
    case xavierNormal(inputs: Int, outputs: Int)
    /// Normal with mean 0, without what is more than two deviations away.
    case truncatedNormal(deviation: Double)
    /// Rows (or columns, if they are fewer) that are orthogonal to each other and of length `gain` (Saxe et al., 2014).
    case orthogonal(gain: Double)

    /// Draws a tensor.
    public func callAsFunction(_ shape: Shape, dtype: DType = .standard) -> Tensor {
        switch self {
        case .constant(let value): return Tensor(filling: value, shape: shape, dtype: dtype)
        case .uniform(let bound):
            return RandomContext.current.draw(.initialization) { $0.uniforms(shape, bound: bound, dtype: dtype) }
        case .normal(let deviation):
            return RandomContext.current.draw(.initialization) {
                $0.normals(shape, deviation: deviation, dtype: dtype)
            }
        case .kaimingUniform(let inputs, let slope):
            let bound = (6 / ((1 + slope * slope) * Double(max(inputs, 1)))).squareRoot()
            return Initializer.uniform(bound: bound)(shape, dtype: dtype)
        case .xavierUniform(let inputs, let outputs):
            return Initializer.uniform(bound: (6 / Double(inputs + outputs)).squareRoot())(shape, dtype: dtype)
        case .kaimingNormal(let inputs, let slope):
            let deviation = (2 / ((1 + slope * slope) * Double(max(inputs, 1)))).squareRoot()
            return Initializer.normal(deviation: deviation)(shape, dtype: dtype)
        case .xavierNormal(let inputs, let outputs):
            return Initializer.normal(deviation: (2 / Double(inputs + outputs)).squareRoot())(shape, dtype: dtype)
        case .truncatedNormal(let deviation):
            let numbers = RandomContext.current.draw(.initialization) { stream in
                var kept: [Double] = []
                while kept.count < shape.elementCount {
                    kept += stream.normals(shape.elementCount - kept.count).filter { abs($0) <= 2 }
                }
                return kept
            }
            return Tensor(numbers.map { $0 * deviation }, shape: shape).converted(to: dtype)
        case .orthogonal(let gain): return Self.orthogonal(shape, gain: gain).converted(to: dtype)
        }
    }

    /// Normal vectors, each freed from what it has in common with those before it, and scaled.
    private static func orthogonal(_ shape: Shape, gain: Double) -> Tensor {
        require(shape.count >= 2, "Initializer.orthogonal", "shape \(shape); at least two dimensions are needed")
        let outputs = shape[0], inputs = shape.dropFirst().reduce(1, *)
        let (count, length) = (min(outputs, inputs), max(outputs, inputs))
        let numbers = RandomContext.current.draw(.initialization) { $0.normals(count * length) }
        var vectors = (0..<count).map { Array(numbers[($0 * length)..<(($0 + 1) * length)]) }
        for i in vectors.indices {
            // Twice, since one round leaves what rounding made of large common parts.
            for j in [Int](0..<i) + [Int](0..<i) {
                let product = zip(vectors[i], vectors[j]).reduce(0) { $0 + $1.0 * $1.1 }
                for k in 0..<length { vectors[i][k] -= product * vectors[j][k] }
            }
            let norm = vectors[i].reduce(0) { $0 + $1 * $1 }.squareRoot()
            for k in 0..<length { vectors[i][k] /= norm }
        }
        let matrix = Tensor(vectors.flatMap { $0 }, shape: [count, length]) * gain
        return (outputs <= inputs ? matrix : matrix.transposed()).reshaped(to: shape)
    }

    /// PyTorch's default for linear and convolution layers: weights and biases within ±1/√inputs.
    static func fanIn(_ inputs: Int) -> Initializer {
        .uniform(bound: 1 / Double(max(inputs, 1)).squareRoot())
    }
}

extension Parameter {
    /// Draws new values.
    public func initialize(_ initializer: Initializer) { assign(initializer(shape, dtype: dtype)) }

    /// Draws new values by how many numbers go into an output, and how many outputs a number goes into.
    ///
    ///     layer.weight.initialize { inputs, outputs in .xavierUniform(inputs: inputs, outputs: outputs) }
    ///
    /// - Precondition: the parameter is a matrix, or the kernels of a convolution.
    public func initialize(_ initializer: (_ inputs: Int, _ outputs: Int) -> Initializer) {
        require(
            shape.count >= 2, "Parameter.initialize", "shape \(shape) of '\(name)'; at least two dimensions are needed")
        let taps = shape.dropFirst(2).reduce(1, *)
        initialize(initializer(shape[1] * taps, shape[0] * taps))
    }
}
