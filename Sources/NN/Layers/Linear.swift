import Tensors

/// An affine map of the last dimension: `x · weightᵀ + bias`.
public final class Linear: Module, Layer {
    /// `[outputs, inputs]`.
    public let weight: Parameter
    /// `[outputs]`, or nil.
    public let bias: Parameter?

    /// A linear layer with PyTorch's initial values: within ±1/√inputs.
    ///
    /// - Parameters:
    ///   - inputs: The last extent of inputs.
    ///   - outputs: The last extent of outputs.
    ///   - bias: Whether there is a bias.
    ///   - initializer: First values of the weight; PyTorch's when nil. The bias always has PyTorch's.
    public init(_ inputs: Int, _ outputs: Int, bias: Bool = true, initializer: Initializer? = nil) {
        require(
            inputs > 0 && outputs > 0, "Linear",
            "\(inputs) inputs and \(outputs) outputs; at least one of each is needed")
        weight = Parameter((initializer ?? .fanIn(inputs))([outputs, inputs]))
        self.bias = bias ? Parameter(Initializer.fanIn(inputs)([outputs])) : nil
    }

    /// A linear layer over parameters of another module: tied weights, which are trained and saved once.
    public init(weight: Parameter, bias: Parameter? = nil) {
        require(
            weight.shape.count == 2 && (bias.map { $0.shape == [weight.shape[0]] } ?? true), "Linear",
            "weight \(weight.shape), bias \(bias.map { "\($0.shape)" } ?? "none")")
        self.weight = weight
        self.bias = bias
    }

    /// `[…, inputs]` to `[…, outputs]`.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        observed(input) { $0.linear(weight: weight.value, bias: bias?.value) }
    }

    /// What a ``ReLU`` makes of this layer's output, in one operation.
    func rectified(_ input: Tensor) -> Tensor {
        input.linear(weight: weight.value, bias: bias?.value, isRectified: true)
    }
}

/// A table of vectors, looked up by index.
public final class Embedding: Module, Layer {
    /// `[count, size]`.
    public let weight: Parameter

    /// A table of `count` vectors of the given size, normal with the given deviation.
    public init(_ count: Int, _ size: Int, deviation: Double = 1) {
        require(count > 0 && size > 0, "Embedding", "\(count) vectors of size \(size); at least one of each is needed")
        weight = Parameter(Initializer.normal(deviation: deviation)([count, size]))
    }

    /// `int64` indices `[…]` to `[…, size]`.
    public func callAsFunction(_ input: Tensor) -> Tensor { observed(input) { weight.value.rows(at: $0) } }
}
