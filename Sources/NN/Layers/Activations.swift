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

/// The input itself.
public final class Identity: Module, Layer {
    /// The input.
    public func callAsFunction(_ input: Tensor) -> Tensor { input }
}

/// All dimensions but the first merged into one.
public final class Flatten: Module, Layer {
    /// `[batch, …]` to `[batch, features]`.
    public func callAsFunction(_ input: Tensor) -> Tensor { input.flattened() }
}
