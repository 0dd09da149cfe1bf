import Tensors

/// An affine map of the last dimension: `x · weightᵀ + bias`.
public final class Linear: Module, Layer {
    /// `[outputs, inputs]`.
    public let weight: Parameter
    /// `[outputs]`, or nil.
    public let bias: Parameter?

    /// A linear layer with PyTorch's initial values: within ±1/√inputs.
    public init(_ inputs: Int, _ outputs: Int, bias: Bool = true, initializer: Initializer? = nil) {
        precondition(inputs > 0 && outputs > 0, "Linear needs at least one input and one output")
        weight = Parameter((initializer ?? .fanIn(inputs))([outputs, inputs]))
        self.bias = bias ? Parameter(Initializer.fanIn(inputs)([outputs])) : nil
    }

    /// `[…, inputs]` to `[…, outputs]`.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        input.linear(weight: weight.value, bias: bias?.value)
    }
}

/// A table of vectors, looked up by index.
public final class Embedding: Module, Layer {
    /// `[count, size]`.
    public let weight: Parameter

    /// A table of `count` vectors of the given size, normal with the given deviation.
    public init(_ count: Int, _ size: Int, deviation: Double = 1) {
        weight = Parameter(Initializer.normal(deviation: deviation)([count, size]))
    }

    /// `int64` indices `[…]` to `[…, size]`.
    public func callAsFunction(_ input: Tensor) -> Tensor { weight.value.rows(at: input) }
}
