/// The hash XXH64 with seed 0, by Yann Collet: fast, and any program can compute it.
///
/// It finds damage, not forgery. See `doc/xxhash_spec.md` of the xxHash project for the algorithm.
package struct XXHash64 {
    private static let prime1: UInt64 = 0x9e37_79b1_85eb_ca87
    private static let prime2: UInt64 = 0xc2b2_ae3d_27d4_eb4f
    private static let prime3: UInt64 = 0x1656_67b1_9e37_79f9
    private static let prime4: UInt64 = 0x85eb_ca77_c2b2_ae63
    private static let prime5: UInt64 = 0x27d4_eb2f_1656_67c5

    private var lanes = (prime1 &+ prime2, prime2, UInt64(0), 0 &- prime1)
    private var rest: [UInt8] = []
    private var length = 0

    /// The hash of nothing so far.
    package init() {}

    /// The hash of some bytes.
    package static func hash(_ bytes: [UInt8]) -> UInt64 {
        var hash = XXHash64()
        bytes.withUnsafeBytes { hash.update($0) }
        return hash.value
    }

    /// Adds bytes to what has been hashed.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        length += bytes.count
        var start = 0
        if !rest.isEmpty {
            start = min(32 - rest.count, bytes.count)
            rest += bytes[..<start]
            guard rest.count == 32 else { return }
            rest.withUnsafeBytes { Self.mix($0, &lanes) }
            rest.removeAll(keepingCapacity: true)
        }
        let whole = (bytes.count - start) & ~31
        Self.mix(UnsafeRawBufferPointer(rebasing: bytes[start..<(start + whole)]), &lanes)
        rest += bytes[(start + whole)...]
    }

    /// The hash of all bytes given so far.
    package var value: UInt64 {
        var hash = Self.prime5
        if length >= 32 {
            hash =
                Self.rotate(lanes.0, 1) &+ Self.rotate(lanes.1, 7) &+ Self.rotate(lanes.2, 12)
                &+ Self.rotate(lanes.3, 18)
            for lane in [lanes.0, lanes.1, lanes.2, lanes.3] {
                hash = (hash ^ Self.round(0, lane)) &* Self.prime1 &+ Self.prime4
            }
        }
        hash &+= UInt64(length)
        rest.withUnsafeBytes { bytes in
            var start = 0
            while start + 8 <= bytes.count {
                hash ^= Self.round(0, Self.load(bytes, start, as: UInt64.self))
                hash = Self.rotate(hash, 27) &* Self.prime1 &+ Self.prime4
                start += 8
            }
            if start + 4 <= bytes.count {
                hash ^= UInt64(Self.load(bytes, start, as: UInt32.self)) &* Self.prime1
                hash = Self.rotate(hash, 23) &* Self.prime2 &+ Self.prime3
                start += 4
            }
            while start < bytes.count {
                hash ^= UInt64(bytes[start]) &* Self.prime5
                hash = Self.rotate(hash, 11) &* Self.prime1
                start += 1
            }
        }
        hash = (hash ^ (hash >> 33)) &* Self.prime2
        hash = (hash ^ (hash >> 29)) &* Self.prime3
        return hash ^ (hash >> 32)
    }

    private static func mix(_ bytes: UnsafeRawBufferPointer, _ lanes: inout (UInt64, UInt64, UInt64, UInt64)) {
        var (a, b, c, d) = lanes
        var start = 0
        while start + 32 <= bytes.count {
            a = round(a, load(bytes, start, as: UInt64.self))
            b = round(b, load(bytes, start + 8, as: UInt64.self))
            c = round(c, load(bytes, start + 16, as: UInt64.self))
            d = round(d, load(bytes, start + 24, as: UInt64.self))
            start += 32
        }
        lanes = (a, b, c, d)
    }

    @inline(__always)
    private static func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
        rotate(lane &+ input &* prime2, 31) &* prime1
    }

    @inline(__always)
    private static func rotate(_ number: UInt64, _ bits: UInt64) -> UInt64 {
        (number &<< bits) | (number &>> (64 &- bits))
    }

    @inline(__always)
    private static func load<Number: FixedWidthInteger & BitwiseCopyable>(
        _ bytes: UnsafeRawBufferPointer, _ offset: Int, as type: Number.Type
    ) -> Number { Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type)) }
}
