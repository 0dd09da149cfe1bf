import CKernels

/// How `float32` tensors are multiplied in matrix products, linear layers, attention and convolutions.
public enum ProductPrecision: String, Sendable {
    /// In single precision.
    case float32
    /// Operands are rounded to bfloat16 (8 bits of precision, the range of `float32`), sums are kept in `float32`.
    ///
    /// Twice as fast as single precision or better where the CPU multiplies bfloat16 itself (AVX512_BF16). Results stay
    /// `float32`, and so does everything that is no product: losses, norms, softmax, optimizers.
    case bfloat16

    /// The precision of products made now.
    ///
    /// An operation remembers it, so that its gradient is computed with the precision of its value.
    @TaskLocal public static var current = ProductPrecision.float32
}

/// Runs a closure whose products of `float32` tensors have the given precision, in their gradients too.
///
/// ```swift
/// let loss = withProductPrecision(.bfloat16) { crossEntropy(model(inputs), labels) }
/// loss.backward()
/// ```
public func withProductPrecision<R>(_ precision: ProductPrecision, _ body: () throws -> R) rethrows -> R {
    try ProductPrecision.$current.withValue(precision, operation: body)
}

extension Tensor {
    /// A `float32` tensor with each element rounded to the nearest number that bfloat16 can hold, without gradient.
    ///
    /// A product of such tensors in single precision is the product that ``ProductPrecision/bfloat16`` means: how
    /// convolutions, which have no bfloat16 kernels, take part.
    func roundedToBFloat16() -> Tensor {
        require(dtype == .float32, "roundedToBFloat16", "the tensor holds \(dtype), not float32")
        let x = detached.dense()
        let y = Tensor(uninitializedLike: x)
        x.inPieces { start, count, bytes in
            ck_round_bf16(
                count, (x.pointer + bytes * start).assumingMemoryBound(to: Float.self),
                (y.freshPointer + bytes * start).assumingMemoryBound(to: Float.self))
        }
        return y
    }

    /// This tensor as an operand of a product of the current precision: rounded for bfloat16, unchanged otherwise.
    func asProductOperand() -> Tensor {
        dtype == .float32 && ProductPrecision.current == .bfloat16 ? roundedToBFloat16() : self
    }
}
