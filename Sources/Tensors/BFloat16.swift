/// A number of the type ``DType/bfloat16``: the upper half of a `Float`.
///
/// For getting numbers in and out of tensors; compute with `Float`.
public struct BFloat16: TensorScalar, Hashable, ExpressibleByFloatLiteral, CustomStringConvertible {
    /// The element type of tensors of this scalar.
    public static var dtype: DType { .bfloat16 }
    /// Sign, 8 bits of exponent, 7 bits of fraction.
    public let bitPattern: UInt16

    /// The number with the given bits.
    public init(bitPattern: UInt16) { self.bitPattern = bitPattern }

    /// The nearest number, ties to even; a NaN stays one.
    public init(_ value: Float) {
        let bits = value.bitPattern
        let rounded = (UInt64(bits) + 0x7FFF + UInt64(bits >> 16 & 1)) >> 16
        bitPattern = value.isNaN ? UInt16(bits >> 16) | 0x40 : UInt16(rounded)
    }

    /// The nearest number to a literal.
    public init(floatLiteral value: Float) { self.init(value) }

    /// As its `Float`.
    public var description: String { Float(self).description }

    /// Whether two numbers are equal: 0 and −0 are, NaN is not equal to itself.
    public static func == (a: BFloat16, b: BFloat16) -> Bool { Float(a) == Float(b) }

    /// Feeds the value to a hasher.
    public func hash(into hasher: inout Hasher) { hasher.combine(Float(self)) }
}

extension Float {
    /// The value of a bfloat16 number, exactly.
    public init(_ value: BFloat16) { self.init(bitPattern: UInt32(value.bitPattern) << 16) }
}
