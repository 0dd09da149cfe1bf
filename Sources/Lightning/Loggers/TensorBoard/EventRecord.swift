import Foundation

/// The records of a TensorBoard event file, which are those of TFRecord files.
///
/// Length as eight bytes, the check of those eight, the data, the check of the data; all little-endian. Checks are
/// CRC-32C, turned and shifted by a constant so that a check of data with checks in it is no trouble.
enum EventRecord {
    /// A record around an `Event` message.
    static func encode(_ data: [UInt8]) -> Data {
        let length = littleEndian(UInt64(data.count), count: 8)
        return Data(length + mask(length) + data + mask(data))
    }

    private static func mask(_ bytes: [UInt8]) -> [UInt8] {
        let check = CyclicCheck.castagnoli.checksum(bytes)
        return littleEndian(UInt64((check >> 15 | check << 17) &+ 0xa282_ead8), count: 4)
    }

    private static func littleEndian(_ value: UInt64, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
}
