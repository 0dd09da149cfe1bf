#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

// Note [Seal]
// HDF5's own checksums cover values and the newer parts of a file's structure, but not all of it, and HDF5 may crash on
// a damaged structure before it comes to a checksum. So a finished file gets a seal: 32 bytes behind its end, of which
// HDF5 takes no notice, since the superblock says where the file ends. The seal is the word `SL-SEAL1`, the length of
// what lies before it, the XXH64 hash of that, and the XXH64 hash of these 24 bytes; numbers are little-endian. A file
// that ends where its superblock says has no seal, as files have that older or other programs wrote.

extension HDF5File {
    private static let sealWord = Array("SL-SEAL1".utf8)
    private static let sealLength = 32

    /// Appends the hash of the whole file, for ``verifySeal(of:)``.
    ///
    /// Other programs read the file as before. It must be closed, and have no seal.
    ///
    /// - Throws: `HDF5Error` when the file cannot be read or written.
    public static func seal(_ path: String) throws(HDF5Error) {
        let file = try SealedFile(path, O_RDWR | O_APPEND, routine: "seal")
        defer { file.finish() }
        let length = try file.length()
        var seal = sealWord
        seal.append(UInt64(length))
        seal.append(try file.hash(length))
        seal.append(XXHash64.hash(seal))
        try file.append(seal)
    }

    /// Compares the whole file with the hash it was sealed with, before HDF5 sees any of it.
    ///
    /// - Returns: Whether there is a seal; without one nothing was compared.
    /// - Throws: `HDF5Error` of kind `checksumMismatch` when the file is damaged, `truncated` when it is too short or the
    ///   seal is not whole, and others when it cannot be read.
    @discardableResult
    public static func verifySeal(of path: String) throws(HDF5Error) -> Bool {
        let file = try SealedFile(path, O_RDONLY, routine: "verifySeal")
        defer { file.finish() }
        let length = try file.length()
        let end = length - sealLength
        let seal = end > 0 ? try file.read(sealLength, at: end) : []
        let head = Array(seal.prefix(24))
        guard seal.count == sealLength, head.starts(with: sealWord), seal.number(at: 24) == XXHash64.hash(head) else {
            // What has no superblock of ours is for HDF5 to judge.
            if let end = try file.endOfContents(), length != end {
                throw file.error(
                    .truncated,
                    length < end ? "the file is shorter than its header says" : "the seal at its end is not whole",
                    advice: HDF5Error.damageAdvice)
            }
            return false
        }
        guard head.number(at: 8) == UInt64(end) else {
            throw file.error(
                .truncated, "the file was sealed with another length", advice: HDF5Error.damageAdvice)
        }
        guard try file.hash(end) == head.number(at: 16) else {
            throw file.error(
                .checksumMismatch, "the file does not match the checksum of all its bytes",
                advice: HDF5Error.damageAdvice)
        }
        return true
    }
}

/// A file read and written without HDF5.
private struct SealedFile {
    private let descriptor: Int32
    private let place: Place
    private let routine: String
    private static let chunk = 1 << 20

    init(_ path: String, _ flags: Int32, routine: String) throws(HDF5Error) {
        place = Place(path: path)
        self.routine = routine
        descriptor = open(path, flags | O_CLOEXEC)
        guard descriptor >= 0 else { throw HDF5Error.fromErrno(errno, routine: routine, at: place) }
    }

    func finish() { _ = close(descriptor) }

    func error(_ kind: HDF5Error.Kind, _ reason: String, advice: String? = nil) -> HDF5Error {
        HDF5Error(kind, routine, at: place, reason, advice: advice)
    }

    func length() throws(HDF5Error) -> Int {
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { throw HDF5Error.fromErrno(errno, routine: routine, at: place) }
        return Int(end)
    }

    /// Where HDF5's part of the file ends, when it begins with a superblock of version 2 or 3, as ours do.
    func endOfContents() throws(HDF5Error) -> Int? {
        let head = try read(48, at: 0)
        let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]
        guard head.count == 48, head.starts(with: signature), head[8] == 2 || head[8] == 3, head[9] == 8 else {
            return nil
        }
        return Int(exactly: head.number(at: 28))
    }

    /// Up to `count` bytes.
    func read(_ count: Int, at start: Int) throws(HDF5Error) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            failure = Self.fill(UnsafeMutableRawBufferPointer(buffer), from: descriptor, at: start, &done)
        }
        guard failure == 0 else { throw HDF5Error.fromErrno(failure, routine: routine, at: place) }
        return bytes
    }

    /// The hash of the first bytes.
    func hash(_ length: Int) throws(HDF5Error) -> UInt64 {
        var hash = XXHash64()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.chunk, alignment: 64)
        defer { buffer.deallocate() }
        var start = 0
        while start < length {
            let wanted = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(Self.chunk, length - start)])
            var count = 0
            let failure = Self.fill(wanted, from: descriptor, at: start, &count)
            guard failure == 0 else { throw HDF5Error.fromErrno(failure, routine: routine, at: place) }
            guard count == wanted.count else { throw error(.truncated, "the file became shorter while it was read") }
            hash.update(UnsafeRawBufferPointer(wanted))
            start += count
        }
        return hash.value
    }

    func append(_ bytes: [UInt8]) throws(HDF5Error) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { bytes in
                write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw HDF5Error.fromErrno(errno, routine: routine, at: place) }
            done += count
        }
    }

    /// Reads until the buffer is full or the file ends; returns 0 or `errno`.
    private static func fill(
        _ bytes: UnsafeMutableRawBufferPointer, from descriptor: Int32, at start: Int, _ done: inout Int
    ) -> Int32 {
        done = 0
        while done < bytes.count {
            let count = pread(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(start + done))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return errno }
            if count == 0 { break }
            done += count
        }
        return 0
    }
}

extension [UInt8] {
    /// Appends a number, little-endian.
    fileprivate mutating func append(_ number: UInt64) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }

    /// The little-endian number that begins there.
    fileprivate func number(at offset: Int) -> UInt64 {
        withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
    }
}
