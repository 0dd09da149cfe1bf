import CKernels

// What gradient clipping and the finite check need of parameters' gradients, in place.

extension Parameter {
    /// The sum of the squares of the gradient's elements, in double precision; 0 without a gradient.
    package var gradientSquareSum: Double {
        hasGradient ? ck_square_sum(gradientDType.kernelType, Int64(elementCount), gradientPointer) : 0
    }

    /// Multiplies the gradient by a number.
    package func scaleGradient(by factor: Double) {
        guard hasGradient else { return }
        ck_affine(gradientDType.kernelType, Int64(elementCount), gradientPointer, factor, 0, gradientPointer)
    }

    /// Holds each element of the gradient between −limit and limit.
    package func clampGradient(to limit: Double) {
        guard hasGradient else { return }
        ck_clamp(gradientDType.kernelType, Int64(elementCount), -limit, limit, gradientPointer, gradientPointer)
    }

    /// Whether every element of the gradient is finite.
    package var isGradientFinite: Bool {
        !hasGradient || ck_all_finite(gradientDType.kernelType, Int64(elementCount), gradientPointer) != 0
    }
}

extension ParameterArena {
    /// Multiplies all gradients by a number, in one pass.
    package func scaleGradients(by factor: Double) {
        Parallel.forRanges(elementCount, grain: elementwiseGrain) { range in
            let start = gradientPointer + range.lowerBound * gradientDType.byteCount
            Self.scale(start, count: range.count, gradientDType, by: factor)
        }
    }

    /// Multiplies gradients anywhere in memory, with the bits of ``scaleGradients(by:)``.
    package static func scale(_ start: UnsafeMutableRawPointer, count: Int, _ dtype: DType, by factor: Double) {
        ck_affine(dtype.kernelType, Int64(count), start, factor, 0, start)
    }

    /// Adds gradients to others anywhere in memory.
    package static func add(
        _ source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int, _ dtype: DType
    ) {
        ck_accumulate(dtype.kernelType, Int64(count), 1, source, target)
    }
}
