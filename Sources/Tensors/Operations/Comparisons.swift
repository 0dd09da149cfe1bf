import CKernels

// Comparisons and selection. Masks are `uint8` tensors of 0 and 1; no gradient flows through them.

infix operator .== : ComparisonPrecedence
infix operator .!= : ComparisonPrecedence
infix operator .< : ComparisonPrecedence
infix operator .<= : ComparisonPrecedence
infix operator .> : ComparisonPrecedence
infix operator .>= : ComparisonPrecedence

extension Tensor {
    private static func compare(_ name: StaticString, _ operation: ck_compare_op, _ a: Tensor, _ b: Tensor) -> Tensor {
        let result = Tensor(uninitialized: commonShape(name, a, b), dtype: .uint8)
        let type = a.dtype.kernelType
        forEachRun(a, b, result) { count, x, sx, y, sy, out in
            ck_compare(operation, type, count, x, sx, y, sy, out.assumingMemoryBound(to: UInt8.self))
        }
        return result
    }

    private static func not(_ mask: Tensor) -> Tensor { Tensor(scalar: 1, dtype: .uint8) - mask }

    /// Where the elements are equal.
    public static func .== (a: Tensor, b: Tensor) -> Tensor { compare(".==", CK_EQUAL, a, b) }
    /// Where the elements differ.
    public static func .!= (a: Tensor, b: Tensor) -> Tensor { not(a .== b) }
    /// Where the first element is smaller.
    public static func .< (a: Tensor, b: Tensor) -> Tensor { compare(".<", CK_LESS, a, b) }
    /// Where the first element is smaller or equal.
    public static func .<= (a: Tensor, b: Tensor) -> Tensor { compare(".<=", CK_LESS_EQUAL, a, b) }
    /// Where the first element is larger.
    public static func .> (a: Tensor, b: Tensor) -> Tensor { b .< a }
    /// Where the first element is larger or equal.
    public static func .>= (a: Tensor, b: Tensor) -> Tensor { b .<= a }

    /// The elements of one tensor where a mask is 1, of another where it is 0, with broadcasting.
    ///
    /// - Precondition: the mask is `uint8`; the two tensors share one type.
    public static func select(where mask: Tensor, _ a: Tensor, _ b: Tensor) -> Tensor {
        require(mask.dtype == .uint8, "select", "the mask is \(mask.dtype), not uint8")
        let pair = commonShape("select", a, b)
        guard let shape = Shape.broadcast(pair, mask.shape) else {
            fail("select", "mask \(mask.shape) with \(a.shape) and \(b.shape)")
        }
        let m = mask.expandedView(to: shape).contiguous()
        let x = a.detached.expandedView(to: shape).contiguous(), y = b.detached.expandedView(to: shape).contiguous()
        let result = Tensor(uninitialized: shape, dtype: a.dtype)
        ck_select(
            a.dtype.kernelType, Int64(shape.elementCount), m.pointer.assumingMemoryBound(to: UInt8.self), x.pointer, 1,
            y.pointer, 1, result.freshPointer)
        return result.recorded("select", a, b) { gradient in
            let zero = Tensor(scalar: 0, dtype: gradient.dtype)
            return [select(where: m, gradient, zero), select(where: m, zero, gradient)]
        }
    }
}
