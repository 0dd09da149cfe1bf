import CKernels

// Elementwise operations: forward and pullback side by side.

/// Elements a thread takes at a time; below it an operation is not worth sharing.
let elementwiseGrain = 32_768

extension Tensor {
    /// A map of each element, with its derivative.
    private func map(_ name: StaticString, _ operation: ck_unary_op) -> Tensor {
        require(dtype.isFloatingPoint, name, "\(dtype) tensors have no \(name); convert them first")
        let x = detached.dense()
        let y = Tensor(uninitializedLike: x)
        x.inPieces { start, count, bytes in
            ck_unary(operation, dtype.kernelType, count, x.pointer + bytes * start, y.freshPointer + bytes * start)
        }
        // Where the result says enough, the input is not kept.
        let input = operation.needsOnlyResult ? y : x
        return y.recorded(name, self) { gradient in
            let g = gradient.laidOut(like: y), gx = g.spareOrFresh()
            y.inPieces { start, count, bytes in
                ck_unary_gradient(
                    operation, y.dtype.kernelType, count, input.pointer + bytes * start, y.pointer + bytes * start,
                    g.pointer + bytes * start, gx.freshPointer + bytes * start)
            }
            return [gx]
        }
    }

    /// Calls `body(start, count, bytesPerElement)` for pieces of this tensor's elements, on all threads.
    func inPieces(_ body: (Int, Int64, Int) -> Void) {
        let bytes = dtype.byteCount
        Parallel.forRanges(elementCount, grain: elementwiseGrain) { body($0.lowerBound, Int64($0.count), bytes) }
    }

    /// The exponential of each element.
    public func exp() -> Tensor { map("exp", CK_EXP) }
    /// The natural logarithm of each element.
    public func log() -> Tensor { map("log", CK_LOG) }
    /// The square root of each element.
    public func squareRoot() -> Tensor { map("squareRoot", CK_SQRT) }
    /// One over the square root of each element.
    public func reciprocalSquareRoot() -> Tensor { map("reciprocalSquareRoot", CK_RSQRT) }
    /// The hyperbolic tangent of each element.
    public func tanh() -> Tensor { map("tanh", CK_TANH) }
    /// 1 / (1 + e⁻ˣ) for each element.
    public func sigmoid() -> Tensor { map("sigmoid", CK_SIGMOID) }
    /// max(x, 0) for each element.
    public func relu() -> Tensor { map("relu", CK_RELU) }
    /// x · Φ(x) for each element, with Φ the normal distribution (Hendrycks & Gimpel, 2016; the exact form).
    public func gelu() -> Tensor {
        require(dtype.isFloatingPoint, "gelu", "\(dtype) tensors have no gelu; convert them first")
        if dtype == .bfloat16 { return inFloat32 { $0.gelu() } }
        let x = detached.dense()
        let y = Tensor(uninitializedLike: x)
        x.inPieces { start, count, bytes in
            ck_unary(CK_GELU, dtype.kernelType, count, x.pointer + bytes * start, y.freshPointer + bytes * start)
        }
        let slope = GELUSlope(x)
        let result = y.recorded("gelu", self) { [slope.multiplied(into: $0)] }
        result.node?.rebuild = slope.valueMadeAgain
        return result
    }
    /// x · sigmoid(x) for each element.
    public func silu() -> Tensor { map("silu", CK_SILU) }
    /// log(1 + eˣ) for each element.
    public func softplus() -> Tensor { map("softplus", CK_SOFTPLUS) }
    /// The absolute value of each element; its derivative at 0 is 0.
    public func absolute() -> Tensor { map("absolute", CK_ABS) }
    /// The square of each element.
    public func squared() -> Tensor { map("squared", CK_SQUARE) }
    /// One over each element.
    public func reciprocal() -> Tensor { map("reciprocal", CK_RECIPROCAL) }
    /// The sine of each element, in radians.
    public func sin() -> Tensor { map("sin", CK_SIN) }
    /// The cosine of each element, in radians.
    public func cos() -> Tensor { map("cos", CK_COS) }

    /// scale · x + shift for each element.
    func affine(scale: Double, shift: Double) -> Tensor {
        require(
            dtype.isFloatingPoint || (scale == scale.rounded() && shift == shift.rounded()), "affine",
            "\(scale) · x + \(shift) for \(dtype) \(shape): convert it to a floating-point type first")
        let x = detached.dense()
        let y = Tensor(uninitializedLike: x)
        x.inPieces { start, count, bytes in
            ck_affine(
                dtype.kernelType, count, x.pointer + bytes * start, scale, shift, y.freshPointer + bytes * start)
        }
        return y.recorded("affine", self) { [scale == 1 ? $0 : $0.affine(scale: scale, shift: 0)] }
    }

    /// Each element held between two bounds; the derivative is 0 where a bound took effect.
    public func clamped(to range: ClosedRange<Double>) -> Tensor {
        require(dtype.isFloatingPoint, "clamped", "\(dtype) tensors cannot be clamped; convert them first")
        let x = detached.contiguous()
        let y = Tensor(uninitialized: shape, dtype: dtype)
        ck_clamp(
            dtype.kernelType, Int64(elementCount), range.lowerBound, range.upperBound, x.pointer, y.freshPointer)
        return y.recorded("clamped", self) { gradient in
            [Tensor.select(where: x .== y, gradient, Tensor(scalar: 0, dtype: x.dtype))]
        }
    }

    /// The elements converted to another type.
    ///
    /// Gradients flow between floating-point types.
    public func converted(to type: DType) -> Tensor {
        if type == dtype { return self }
        let x = detached.dense()
        let y = Tensor(
            dtype: type, shape: shape, strides: x.strides, offset: 0,
            storage: Storage(byteCount: elementCount * type.byteCount))
        ck_convert(dtype.kernelType, type.kernelType, Int64(elementCount), x.pointer, y.freshPointer)
        guard type.isFloatingPoint else { return y }
        let original = dtype
        return y.recorded("converted", self) { [$0.converted(to: original)] }
    }

    /// Adds another tensor of the same shape to this one: in place when nobody else holds the memory.
    mutating func add(_ other: Tensor) {
        require(
            shape == other.shape && dtype == other.dtype, "add", "\(dtype) \(shape) and \(other.dtype) \(other.shape)")
        guard node == nil, isDense, isKnownUniquelyReferenced(&storage) else {
            // One pass that writes elsewhere, rather than a copy and a pass.
            self = Tensor.combine("add", CK_ADD, detached, other.detached)
            return
        }
        let source = other.detached.laidOut(like: self)
        let target = freshPointer
        inPieces { start, count, bytes in
            ck_accumulate(dtype.kernelType, count, 1, source.pointer + bytes * start, target + bytes * start)
        }
    }
}

extension ck_unary_op {
    /// Whether the derivative is a function of the result alone.
    fileprivate var needsOnlyResult: Bool {
        switch self {
        case CK_EXP, CK_SQRT, CK_RSQRT, CK_TANH, CK_SIGMOID, CK_RELU, CK_RECIPROCAL, CK_NEGATE: true
        default: false
        }
    }
}

/// What GELU keeps for its backward pass: its input, and the derivative once the result was made again on the way.
///
/// Both come from the same exponential, so the result costs nothing when the derivative is wanted anyway.
private final class GELUSlope {
    private let input: Tensor
    private var slope: Tensor?

    init(_ input: Tensor) { self.input = input }

    func valueMadeAgain() -> Tensor {
        let x = input
        let y = Tensor(uninitializedLike: x), slope = Tensor(uninitializedLike: x)
        x.inPieces { start, count, bytes in
            ck_gelu_and_slope(
                x.dtype.kernelType, count, x.pointer + bytes * start, y.freshPointer + bytes * start,
                slope.freshPointer + bytes * start)
        }
        self.slope = slope
        return y
    }

    func multiplied(into gradient: Tensor) -> Tensor {
        let x = input, g = gradient.laidOut(like: x)
        guard let slope, g.storage.isSpare else {
            let gx = g.spareOrFresh()
            x.inPieces { start, count, bytes in
                ck_unary_gradient(
                    CK_GELU, x.dtype.kernelType, count, x.pointer + bytes * start, x.pointer + bytes * start,
                    g.pointer + bytes * start, gx.freshPointer + bytes * start)
            }
            return gx
        }
        x.inPieces { start, count, bytes in
            ck_multiply_in_place(
                x.dtype.kernelType, count, slope.pointer + bytes * start, g.freshPointer + bytes * start)
        }
        return g
    }
}

// MARK: - Two operands

extension Tensor {
    /// An operation on pairs of elements, with broadcasting.
    static func combine(_ name: StaticString, _ operation: ck_binary_op, _ a: Tensor, _ b: Tensor) -> Tensor {
        let shape = commonShape(name, a, b)
        // The result lies like the first operand that has its shape, so that what is channels last stays so.
        if let order = a.shape == shape ? a.preferredOrder : b.shape == shape ? b.preferredOrder : nil {
            return combine(
                name, operation, a.expandedView(to: shape).permutedView(order),
                b.expandedView(to: shape).permutedView(order)
            ).unpermutedView(order)
        }
        let result = Tensor(uninitialized: shape, dtype: a.dtype)
        let type = a.dtype.kernelType
        forEachRun(a, b, result) { count, x, sx, y, sy, out in
            ck_binary(operation, type, count, x, sx, y, sy, out)
        }
        return result
    }

    static func commonShape(_ name: StaticString, _ a: Tensor, _ b: Tensor) -> Shape {
        require(a.dtype == b.dtype, name, "\(a.dtype) \(a.shape) and \(b.dtype) \(b.shape): convert one of them")
        guard let shape = Shape.broadcast(a.shape, b.shape) else {
            fail(name, "shapes \(a.shape) and \(b.shape) do not fit")
        }
        return shape
    }

    /// Calls `body(count, a, strideA, b, strideB, out)` for runs over which both operands have stride 0 or 1.
    static func forEachRun(
        _ a: Tensor, _ b: Tensor, _ result: Tensor,
        _ body: (Int64, UnsafeRawPointer, Int64, UnsafeRawPointer, Int64, UnsafeMutableRawPointer) -> Void
    ) {
        let shape = result.shape
        let out = result.freshPointer
        if a.shape == b.shape, a.isContiguous, b.isContiguous {
            let (pa, pb, size, outSize) = (a.pointer, b.pointer, a.dtype.byteCount, result.dtype.byteCount)
            return Parallel.forRanges(shape.elementCount, grain: elementwiseGrain) { range in
                let start = range.lowerBound
                body(Int64(range.count), pa + size * start, 1, pb + size * start, 1, out + outSize * start)
            }
        }
        guard shape.elementCount > 0 else { return }
        var x = a.detached.expandedView(to: shape), y = b.detached.expandedView(to: shape)
        var plan = PairedPlan(shape: shape, x.strides, y.strides)
        // The innermost run decides, not the last dimension: that may have an extent of 1 and be dropped.
        if plan.a[-1] > 1 || plan.b[-1] > 1 {
            if plan.a[-1] > 1 { x = x.contiguous() }
            if plan.b[-1] > 1 { y = y.contiguous() }
            plan = PairedPlan(shape: shape, x.strides, y.strides)
        }
        let size = a.dtype.byteCount, outSize = result.dtype.byteCount
        let inner = plan.shape[-1]
        Parallel.forRanges(plan.rows, grain: Swift.max(1, elementwiseGrain / inner)) { rows in
            for row in rows {
                let (offsetX, offsetY) = plan.offsets(ofRow: row)
                body(
                    Int64(inner), x.pointer + offsetX * size, Int64(plan.a[-1]), y.pointer + offsetY * size,
                    Int64(plan.b[-1]), out + row * inner * outSize)
            }
        }
    }

    /// Elementwise sum.
    public static func + (a: Tensor, b: Tensor) -> Tensor {
        combine("+", CK_ADD, a, b).recorded("+", a, b) { [$0, $0] }
    }

    /// Elementwise difference.
    public static func - (a: Tensor, b: Tensor) -> Tensor {
        let needsB = b.requiresGradient
        return combine("-", CK_SUBTRACT, a, b).recorded("-", a, b) { [$0, needsB ? -$0 : nil] }
    }

    /// Elementwise product.
    public static func * (a: Tensor, b: Tensor) -> Tensor {
        let (x, y, needsA, needsB) = (a.detached, b.detached, a.requiresGradient, b.requiresGradient)
        return combine("*", CK_MULTIPLY, a, b).recorded("*", a, b) { gradient in
            [needsA ? gradient * y : nil, needsB ? gradient * x : nil]
        }
    }

    /// Elementwise quotient.
    public static func / (a: Tensor, b: Tensor) -> Tensor {
        let (y, needsA, needsB) = (b.detached, a.requiresGradient, b.requiresGradient)
        let quotient = combine("/", CK_DIVIDE, a, b)
        return quotient.recorded("/", a, b) { gradient in
            let share = gradient / y
            return [needsA ? share : nil, needsB ? -(share * quotient) : nil]
        }
    }

    /// The elementwise larger; at a tie each side gets half of the gradient.
    public static func maximum(_ a: Tensor, _ b: Tensor) -> Tensor { extreme("maximum", CK_MAXIMUM, a, b) }

    /// The elementwise smaller; at a tie each side gets half of the gradient.
    public static func minimum(_ a: Tensor, _ b: Tensor) -> Tensor { extreme("minimum", CK_MINIMUM, a, b) }

    private static func extreme(_ name: StaticString, _ operation: ck_binary_op, _ a: Tensor, _ b: Tensor) -> Tensor {
        let (x, y) = (a.detached, b.detached)
        let result = combine(name, operation, a, b)
        return result.recorded(name, a, b) { gradient in
            let fromA = (x .== result).converted(to: gradient.dtype)
            let fromB = (y .== result).converted(to: gradient.dtype)
            let share = gradient / (fromA + fromB)
            return [share * fromA, share * fromB]
        }
    }

    /// Each element raised to a power.
    public func power(_ exponent: Double) -> Tensor {
        require(dtype.isFloatingPoint, "power", "\(dtype) tensors have no real powers; convert them first")
        let x = detached
        return Tensor.combine("power", CK_POWER, self, Tensor(scalar: exponent, dtype: dtype))
            .recorded("power", self) { [exponent == 0 ? $0 * 0 : $0 * (x.power(exponent - 1) * exponent)] }
    }

    /// The negative of each element.
    public static prefix func - (a: Tensor) -> Tensor { a.affine(scale: -1, shift: 0) }

    /// Each element plus a number.
    public static func + (a: Tensor, b: Double) -> Tensor { a.affine(scale: 1, shift: b) }
    /// A number plus each element.
    public static func + (a: Double, b: Tensor) -> Tensor { b.affine(scale: 1, shift: a) }
    /// Each element minus a number.
    public static func - (a: Tensor, b: Double) -> Tensor { a.affine(scale: 1, shift: -b) }
    /// A number minus each element.
    public static func - (a: Double, b: Tensor) -> Tensor { b.affine(scale: -1, shift: a) }
    /// Each element times a number.
    public static func * (a: Tensor, b: Double) -> Tensor { a.affine(scale: b, shift: 0) }
    /// A number times each element.
    public static func * (a: Double, b: Tensor) -> Tensor { b.affine(scale: a, shift: 0) }
    /// Each element over a number.
    public static func / (a: Tensor, b: Double) -> Tensor {
        a.dtype.isFloatingPoint ? a.affine(scale: 1 / b, shift: 0) : a / Tensor(scalar: b, dtype: a.dtype)
    }
    /// A number over each element.
    public static func / (a: Double, b: Tensor) -> Tensor { Tensor(scalar: a, dtype: b.dtype) / b }

    /// Adds in place of the variable: `a = a + b`.
    public static func += (a: inout Tensor, b: Tensor) { a = a + b }
    /// Subtracts in place of the variable: `a = a - b`.
    public static func -= (a: inout Tensor, b: Tensor) { a = a - b }
    /// Multiplies in place of the variable: `a = a * b`.
    public static func *= (a: inout Tensor, b: Tensor) { a = a * b }
}

/// Two strided operands walked together, with neighbouring dimensions merged where both allow it.
struct PairedPlan {
    var shape: Shape = []
    var a: Shape = []
    var b: Shape = []

    init(shape: Shape, _ stridesA: Shape, _ stridesB: Shape) {
        for i in 0..<shape.count where shape[i] != 1 {
            let last = self.shape.count - 1
            if last >= 0, a[last] == stridesA[i] * shape[i], b[last] == stridesB[i] * shape[i] {
                self.shape[last] *= shape[i]
                a[last] = stridesA[i]
                b[last] = stridesB[i]
            } else {
                self.shape.append(shape[i])
                a.append(stridesA[i])
                b.append(stridesB[i])
            }
        }
        if self.shape.isEmpty {
            self.shape = [1]
            a = [0]
            b = [0]
        }
    }

    /// How many innermost runs there are.
    var rows: Int { (0..<(shape.count - 1)).reduce(1) { $0 * shape[$1] } }

    /// Where a run starts in each operand, in elements.
    func offsets(ofRow row: Int) -> (Int, Int) {
        var rest = row, offsetA = 0, offsetB = 0
        var i = shape.count - 2
        while i >= 0 {
            let index = rest % shape[i]
            rest /= shape[i]
            offsetA += index * a[i]
            offsetB += index * b[i]
            i -= 1
        }
        return (offsetA, offsetB)
    }
}
