import Tensors

/// max(x, 0).
public final class ReLU: Module, Layer {
    /// Each element rectified.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.relu() }
}

/// x · Φ(x).
public final class GELU: Module, Layer {
    /// Each element's GELU.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.gelu() }
}

/// x · sigmoid(x).
public final class SiLU: Module, Layer {
    /// Each element's SiLU.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.silu() }
}

/// The hyperbolic tangent.
public final class Tanh: Module, Layer {
    /// Each element's tangent.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.tanh() }
}

/// 1 / (1 + e⁻ˣ).
public final class Sigmoid: Module, Layer {
    /// Each element's sigmoid.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.sigmoid() }
}

/// The logarithm of the sigmoid.
public final class LogSigmoid: Module, Layer {
    /// Each element's logarithm of the sigmoid.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.logSigmoid() }
}

/// x · tanh(log(1 + eˣ)).
public final class Mish: Module, Layer {
    /// Each element's Mish.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.mish() }
}

/// (x + 3) / 6, held between 0 and 1.
public final class Hardsigmoid: Module, Layer {
    /// Each element's piecewise linear sigmoid.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.hardSigmoid() }
}

/// x times its piecewise linear sigmoid.
public final class Hardswish: Module, Layer {
    /// Each element's Hardswish.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.hardSwish() }
}
