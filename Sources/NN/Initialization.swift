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
        }
    }

    /// PyTorch's default for linear and convolution layers: weights and biases within ±1/√inputs.
    static func fanIn(_ inputs: Int) -> Initializer {
        .uniform(bound: 1 / Double(max(inputs, 1)).squareRoot())
    }
}
