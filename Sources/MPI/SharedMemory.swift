import CMPI

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Memory that every rank of a node reads and writes directly, one part for each rank.
///
/// MPI allocates it (`MPI_Win_allocate_shared`) and lets all ranks load and store; it orders nothing between them. Who
/// uses it keeps the ranks apart with atomics inside the memory, whose acquire and release order the rest.
public final class SharedMemory: Sendable {
    // A name that MPI guards, as in `Communicator`, and addresses whose use is ordered by the user's atomics.
    private nonisolated(unsafe) let window: CMPIWindow
    private nonisolated(unsafe) let parts: [UnsafeMutableRawBufferPointer]

    /// Allocates `bytes` for each rank, zeroed, in parts that begin on a page.
    ///
    /// Collective over `node`.
    ///
    /// - Parameters:
    ///   - node: ranks that can share memory, from `splitShared()`.
    ///   - bytes: the same on every rank.
    /// - Throws: `MPIError` when MPI fails, for example because the system has no shared memory left.
    public init(node: Communicator, bytesPerRank bytes: Int) throws(MPIError) {
        let place = "\(node.place), \(bytes) bytes for each rank"
        // Open MPI begins its parts 264 bytes into a page. Mappings begin on pages in every process, so all processes
        // skip as much.
        let page = 4096
        let rounded = ((bytes + page - 1) / page + 1) * page
        var window = CMPIWindow()
        try checked(cmpi_allocate_shared(rounded, node.handle, &window), "MPI_Win_allocate_shared", place)
        var parts: [UnsafeMutableRawBufferPointer] = []
        for rank in 0..<node.size {
            var (size, start): (Int, UnsafeMutableRawPointer?) = (0, nil)
            try checked(
                cmpi_shared_part(window, Int32(rank), &size, &start), "MPI_Win_shared_query", "\(place), rank \(rank)")
            try require(
                start != nil && size >= rounded, "rank \(rank) shares \(size) bytes", in: "MPI_Win_shared_query", place)
            parts.append(UnsafeMutableRawBufferPointer(start: start?.alignedUp(toMultipleOf: page), count: bytes))
        }
        parts[node.rank].initializeMemory(as: UInt8.self, repeating: 0)
        self.window = window
        self.parts = parts
        // Nobody sees a part before its owner has zeroed it.
        try node.barrier()
    }

    /// The number of parts, one for each rank of the node.
    public var count: Int { parts.count }

    /// Whether the file system that shared memory comes from has room for so many more bytes, and some to spare.
    ///
    /// MPI would not always say so: a process may die at its first use of memory that is not there.
    public static func isRoom(for bytes: Int) -> Bool {
        var system = statvfs()
        guard statvfs("/dev/shm", &system) == 0 else { return true }
        return Int(system.f_bavail) * Int(system.f_frsize) > bytes + bytes / 4 + (4 << 20)
    }

    /// The part of a rank of the node, as this process sees it; valid until `free()`.
    public func part(of rank: Int) -> UnsafeMutableRawBufferPointer { parts[rank] }

    /// Gives the memory back.
    ///
    /// Collective; no part may be used afterwards.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public func free() throws(MPIError) {
        var window = window
        try checked(cmpi_free_shared(&window), "MPI_Win_free", "")
    }
}
