internal import CHDF5

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

// Note [HDF5 does not survive a full disk]
// When the operating system refuses a write while HDF5 1.10 flushes its metadata, HDF5's cache is left in the middle
// of the flush. Closing the file then fails too, leaks its descriptor (so that the space of a removed file is not
// given back), and a later call may crash the process. So files are written through a driver of our own that never
// tells HDF5 of a refusal. From the first one on it keeps in memory what HDF5 may want to read back, and remembers
// the refusal; every following operation on the file, its flush and its close report it. What must be kept is the
// structure of the file and long attributes, which HDF5 declares to be values; of values, which may be gigabytes,
// only the first few are kept.

/// What the driver knows of a file that is being written, used under the library's lock only.
final class WrittenFile: @unchecked Sendable {
    let descriptor: Int32
    /// The end of what HDF5 has allocated.
    var allocatedEnd: haddr_t = 0
    /// The end of what has been written.
    var writtenEnd: haddr_t
    /// The first refusal of the operating system, as `errno`; zero while all is well.
    var refusal: Int32 = 0
    /// What has been written since the refusal, oldest first.
    private var kept: [(start: haddr_t, bytes: [UInt8])] = []
    private var valuesKept = 0
    private static let mostValuesKept = 16 << 20

    init(descriptor: Int32, size: haddr_t) {
        self.descriptor = descriptor
        writtenEnd = size
    }

    func write(_ bytes: UnsafeRawBufferPointer, at start: haddr_t, isStructure: Bool) {
        if refusal == 0 { refusal = Self.writeAll(bytes, to: descriptor, at: start) }
        if refusal != 0 {
            if !isStructure { valuesKept += bytes.count }
            if isStructure || valuesKept <= Self.mostValuesKept { kept.append((start, [UInt8](bytes))) }
        }
        writtenEnd = max(writtenEnd, start + haddr_t(bytes.count))
    }

    /// Reads; beyond the end of the file, and where values were dropped, there are zeros.
    func read(into bytes: UnsafeMutableRawBufferPointer, at start: haddr_t) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = pread(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(start) + done)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return false }
            if count == 0 { break }
            done += count
        }
        for index in done..<bytes.count { bytes[index] = 0 }
        let end = start + haddr_t(bytes.count)
        for block in kept {
            let from = max(start, block.start)
            let to = min(end, block.start + haddr_t(block.bytes.count))
            guard from < to else { continue }
            for address in from..<to { bytes[Int(address - start)] = block.bytes[Int(address - block.start)] }
        }
        return true
    }

    /// Makes the file as long as HDF5 says it is.
    func truncate() {
        guard allocatedEnd != writtenEnd else { return }
        if refusal == 0, ftruncate(descriptor, off_t(allocatedEnd)) != 0 { refusal = errno }
        writtenEnd = allocatedEnd
    }

    func finish() {
        // Network file systems report what they could not store only now.
        if close(descriptor) != 0, refusal == 0 { refusal = errno }
    }

    /// Writes all bytes and returns zero, or `errno`.
    private static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at start: haddr_t) -> Int32 {
        var done = 0
        while done < bytes.count {
            let count = pwrite(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(start) + done)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return errno }
            done += count
        }
        return 0
    }
}

/// HDF5's view of a file: its own part must come first.
private struct DriverFile {
    var header = H5FD_t()
    let file: Unmanaged<WrittenFile>
}

/// The driver, registered with HDF5 at its first use.
enum WritingDriver {
    // What opening a file through the driver led to: the file, or `errno`. Guarded by the library's lock.
    nonisolated(unsafe) private static var lastOpened: WrittenFile?
    nonisolated(unsafe) private(set) static var lastErrno: Int32 = 0

    /// Lets a file be created through the driver.
    static func select(for access: hid_t, at place: Place) throws(HDF5Error) {
        lastOpened = nil
        lastErrno = 0
        if identifier == nil { identifier = try call("H5FDregister", at: place) { H5FDregister(description) } }
        guard let identifier else { return }
        try call("H5Pset_driver", at: place) { H5Pset_driver(access, identifier, nil) }
    }

    /// Forgets the file that was opened last, so that it does not live longer than HDF5 and its session need it.
    static func takeLastOpened() -> WrittenFile? {
        defer { lastOpened = nil }
        return lastOpened
    }

    nonisolated(unsafe) private static var identifier: hid_t?

    /// The driver's table of functions, which lives as long as the process: every open file points to it.
    nonisolated(unsafe) private static let description: UnsafePointer<H5FD_class_t> = {
        let table = UnsafeMutablePointer<H5FD_class_t>.allocate(capacity: 1)
        var driver = H5FD_class_t()
        driver.name = UnsafePointer(strdup("lightning_writer"))
        driver.maxaddr = haddr_t(off_t.max)
        driver.fc_degree = H5F_CLOSE_WEAK
        driver.open = { path, flags, _, _ in openFile(path, flags) }
        driver.close = { header in
            guard let header = file(header) else { return -1 }
            header.pointee.file.takeUnretainedValue().finish()
            header.pointee.file.release()
            header.deallocate()
            return 0
        }
        driver.query = { _, features in
            features?.pointee = chdf5_plain_file_features()
            return 0
        }
        driver.get_eoa = { header, _ in state(header)?.allocatedEnd ?? 0 }
        driver.set_eoa = { header, _, end in
            state(header)?.allocatedEnd = end
            return 0
        }
        driver.get_eof = { header, _ in state(header)?.writtenEnd ?? 0 }
        driver.read = { header, _, _, start, size, buffer in
            guard let file = state(header), let buffer else { return -1 }
            return file.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: size), at: start) ? 0 : -1
        }
        driver.write = { header, type, _, start, size, buffer in
            guard let file = state(header), let buffer else { return -1 }
            let bytes = UnsafeRawBufferPointer(start: buffer, count: size)
            file.write(bytes, at: start, isStructure: type != H5FD_MEM_DRAW)
            return 0
        }
        driver.truncate = { header, _, _ in
            state(header)?.truncate()
            return 0
        }
        // Structure and values from two pools, as HDF5's own driver has it.
        driver.fl_map = (
            H5FD_MEM_SUPER, H5FD_MEM_SUPER, H5FD_MEM_SUPER, H5FD_MEM_DRAW, H5FD_MEM_DRAW, H5FD_MEM_SUPER,
            H5FD_MEM_SUPER
        )
        table.initialize(to: driver)
        return UnsafePointer(table)
    }()

    private static func openFile(_ path: UnsafePointer<CChar>?, _ flags: UInt32) -> UnsafeMutablePointer<H5FD_t>? {
        guard let path else { return nil }
        let mode =
            O_RDWR | O_CREAT | O_CLOEXEC
            | (flags & chdf5_create_new() != 0 ? O_EXCL : 0) | (flags & chdf5_create_or_replace() != 0 ? O_TRUNC : 0)
        var descriptor: Int32
        repeat { descriptor = open(path, mode, 0o666) } while descriptor < 0 && errno == EINTR
        guard descriptor >= 0 else {
            lastErrno = errno
            return nil
        }
        let file = WrittenFile(descriptor: descriptor, size: 0)
        lastOpened = file
        let opened = UnsafeMutablePointer<DriverFile>.allocate(capacity: 1)
        opened.initialize(to: DriverFile(file: Unmanaged.passRetained(file)))
        return UnsafeMutableRawPointer(opened).assumingMemoryBound(to: H5FD_t.self)
    }

    private static func file(_ header: UnsafePointer<H5FD_t>?) -> UnsafeMutablePointer<DriverFile>? {
        header.map { UnsafeMutableRawPointer(mutating: $0).assumingMemoryBound(to: DriverFile.self) }
    }

    private static func state(_ header: UnsafePointer<H5FD_t>?) -> WrittenFile? {
        file(header)?.pointee.file.takeUnretainedValue()
    }
}
