/// A cyclic redundancy check of 32 bits, reflected, by table.
struct CyclicCheck: Sendable {
    /// CRC-32C, Castagnoli's polynomial: what TensorBoard's records carry.
    static let castagnoli = CyclicCheck(polynomial: 0x82f6_3b78)
    /// CRC-32 of IEEE 802.3: what PNG carries.
    static let ieee = CyclicCheck(polynomial: 0xedb8_8320)

    private let table: [UInt32]

    private init(polynomial: UInt32) {
        table = (0..<256).map { byte in
            (0..<8).reduce(UInt32(byte)) { sum, _ in sum & 1 == 1 ? polynomial ^ (sum >> 1) : sum >> 1 }
        }
    }

    /// The check of some bytes.
    func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var sum = ~UInt32(0)
        for byte in bytes { sum = table[Int((sum ^ UInt32(byte)) & 0xff)] ^ (sum >> 8) }
        return ~sum
    }
}
