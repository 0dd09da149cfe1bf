internal import CHDF5

/// The types of number a dataset is created with, and read or written as.
///
/// A dataset made elsewhere may hold other integers and floating-point numbers, such as `uint16` or `float16`; they
/// are read as one of these with conversion.
public enum HDF5ElementType: String, CaseIterable, Sendable {
    /// IEEE 754 single precision, `Float` in Swift.
    case float32
    /// IEEE 754 double precision, `Double` in Swift.
    case float64
    /// Signed 64-bit integer, `Int64` or `Int` in Swift.
    case int64
    /// Signed 32-bit integer, `Int32` in Swift.
    case int32
    /// Unsigned byte, `UInt8` in Swift.
    case uint8
    /// The upper half of a `float32`; other programs read it as a 16-bit floating-point type that HDF5 converts.
    case bfloat16

    /// Bytes per element.
    public var size: Int {
        switch self {
        case .float64, .int64: 8
        case .float32, .int32: 4
        case .bfloat16: 2
        case .uint8: 1
        }
    }

    /// The type in memory.
    var native: hid_t {
        switch self {
        case .float32: chdf5_native_float()
        case .float64: chdf5_native_double()
        case .int64: chdf5_native_int64()
        case .int32: chdf5_native_int32()
        case .uint8: chdf5_native_uint8()
        case .bfloat16: bfloat16Type
        }
    }

    /// The type in files made here.
    var stored: hid_t {
        switch self {
        case .float32: chdf5_file_float()
        case .float64: chdf5_file_double()
        case .int64: chdf5_file_int64()
        case .int32: chdf5_file_int32()
        case .uint8: chdf5_file_uint8()
        case .bfloat16: bfloat16Type
        }
    }

    /// The element type that equals a type in a file, apart from byte order; `nil` when there is none.
    init?(stored type: hid_t, at place: Place) throws(HDF5Error) {
        for candidate in HDF5ElementType.allCases
        where try call("H5Tequal", at: place, { H5Tequal(type, candidate.stored) }) > 0 {
            self = candidate
            return
        }
        return nil
    }
}

/// HDF5 has no name for bfloat16, so the type is described once.
private let bfloat16Type = chdf5_file_bfloat16()

/// A Swift number that has an `HDF5ElementType` of the same layout.
public protocol HDF5Element: BitwiseCopyable, Sendable {
    /// The element type with this layout.
    static var hdf5ElementType: HDF5ElementType { get }
}

extension Float: HDF5Element {
    /// `float32`.
    public static var hdf5ElementType: HDF5ElementType { .float32 }
}

extension Double: HDF5Element {
    /// `float64`.
    public static var hdf5ElementType: HDF5ElementType { .float64 }
}

extension Int64: HDF5Element {
    /// `int64`.
    public static var hdf5ElementType: HDF5ElementType { .int64 }
}

extension Int: HDF5Element {
    /// `int64`.
    public static var hdf5ElementType: HDF5ElementType { .int64 }
}

extension Int32: HDF5Element {
    /// `int32`.
    public static var hdf5ElementType: HDF5ElementType { .int32 }
}

extension UInt8: HDF5Element {
    /// `uint8`.
    public static var hdf5ElementType: HDF5ElementType { .uint8 }
}

/// Describes a type in a file for a message, such as `string` or `16-bit integer`.
func typeDescription(_ type: hid_t) -> String {
    let bits = H5Tget_size(type) * 8
    return switch H5Tget_class(type) {
    case H5T_INTEGER: "\(bits)-bit \(H5Tget_sign(type) == H5T_SGN_NONE ? "unsigned " : "")integer"
    case H5T_FLOAT: "\(bits)-bit floating-point number"
    case H5T_STRING: "string"
    case H5T_COMPOUND: "compound"
    case H5T_ENUM: "enumeration"
    case H5T_VLEN: "sequence of variable length"
    case H5T_ARRAY: "array"
    case H5T_REFERENCE: "reference"
    case H5T_OPAQUE: "opaque bytes"
    default: "unknown type"
    }
}
