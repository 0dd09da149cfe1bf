// Operations without bfloat16 kernels compute in float32. Widening is exact, and the result is rounded once.

extension Tensor {
    /// This tensor in `float32` if it holds bfloat16, otherwise itself; gradients flow.
    func widened() -> Tensor { dtype == .bfloat16 ? converted(to: .float32) : self }

    /// The result of an operation on this bfloat16 tensor in `float32`, rounded.
    func inFloat32(_ operation: (Tensor) -> Tensor) -> Tensor { operation(widened()).converted(to: .bfloat16) }
}
