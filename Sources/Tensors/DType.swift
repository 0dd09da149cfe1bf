import CKernels

/// The element type of a tensor, known at run time.
public enum DType: String, Hashable, Sendable, Codable, CaseIterable {
    /// 32-bit IEEE floating point: the type of parameters and activations.
    case float32
    /// 64-bit IEEE floating point: gradient checks and `float64` training.
    case float64
    /// The upper half of `float32`: its range with 8 bits of precision.
    ///
    /// A way to store numbers: operations compute in `float32` and round their results to the nearest, ties to even.
    case bfloat16
    /// 64-bit signed integers: labels, token ids, indices.
    case int64
    /// Bytes: images before scaling, and masks (0 or 1).
    case uint8

    /// The type of new tensors where none is given: `float32`, unless a trainer runs in another precision.
    @TaskLocal public static var standard = DType.float32

    /// The size of one element in bytes.
    public var byteCount: Int {
        switch self {
        case .float32: 4
        case .float64, .int64: 8
        case .bfloat16: 2
        case .uint8: 1
        }
    }

    /// Whether gradients can flow through tensors of this type.
    public var isFloatingPoint: Bool { self == .float32 || self == .float64 || self == .bfloat16 }

    /// The type in which many numbers of this type are added up: `float32` for bfloat16.
    package var accumulator: DType { self == .bfloat16 ? .float32 : self }

    var kernelType: ck_dtype {
        switch self {
        case .float32: CK_F32
        case .float64: CK_F64
        case .int64: CK_I64
        case .uint8: CK_U8
        case .bfloat16: CK_BF16
        }
    }
}

/// A Swift number type that tensors can hold.
public protocol TensorScalar: Sendable, BitwiseCopyable {
    /// The element type of tensors of this scalar.
    static var dtype: DType { get }
}

extension Float: TensorScalar {
    /// The element type of tensors of this scalar.
    public static var dtype: DType { .float32 }
}

extension Double: TensorScalar {
    /// The element type of tensors of this scalar.
    public static var dtype: DType { .float64 }
}

extension Int64: TensorScalar {
    /// The element type of tensors of this scalar.
    public static var dtype: DType { .int64 }
}

extension UInt8: TensorScalar {
    /// The element type of tensors of this scalar.
    public static var dtype: DType { .uint8 }
}
