/// A message of Protocol Buffers being written: fields one after another, as its wire format says.
///
/// Only what TensorBoard's few messages need. A field is left out by not adding it.
struct ProtobufMessage {
    /// The message so far.
    private(set) var bytes: [UInt8] = []

    private enum WireType: UInt64 { case varint, fixed64, delimited, fixed32 = 5 }

    init() {}

    /// A message built by a closure.
    init(_ build: (inout ProtobufMessage) -> Void) { build(&self) }

    private mutating func key(_ field: Int, _ type: WireType) { varint(UInt64(field) << 3 | type.rawValue) }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func littleEndian(_ value: UInt64, count: Int) {
        for place in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(place)))) }
    }

    /// An integer, an enum or a boolean.
    mutating func add(_ field: Int, integer value: Int) {
        key(field, .varint)
        varint(UInt64(bitPattern: Int64(value)))
    }

    /// A `double`.
    mutating func add(_ field: Int, double value: Double) {
        key(field, .fixed64)
        littleEndian(value.bitPattern, count: 8)
    }

    /// A `float`.
    mutating func add(_ field: Int, float value: Float) {
        key(field, .fixed32)
        littleEndian(UInt64(value.bitPattern), count: 4)
    }

    /// `bytes`.
    mutating func add(_ field: Int, bytes value: [UInt8]) {
        key(field, .delimited)
        varint(UInt64(value.count))
        bytes += value
    }

    /// A `string`.
    mutating func add(_ field: Int, string value: String) { add(field, bytes: Array(value.utf8)) }

    /// A message within this one.
    mutating func add(_ field: Int, _ build: (inout ProtobufMessage) -> Void) {
        add(field, bytes: ProtobufMessage(build).bytes)
    }

    /// A packed list of `double`s.
    mutating func add(_ field: Int, doubles values: [Double]) {
        key(field, .delimited)
        varint(UInt64(values.count * 8))
        for value in values { littleEndian(value.bitPattern, count: 8) }
    }
}
