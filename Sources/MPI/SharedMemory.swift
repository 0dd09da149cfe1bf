import CMPI

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
        let rounded = max(1, (bytes + 4095) / 4096) * 4096
        var window = CMPIWindow()
        try checked(cmpi_allocate_shared(rounded, node.handle, &window), "MPI_Win_allocate_shared", place)
        var parts: [UnsafeMutableRawBufferPointer] = []
        for rank in 0..<node.size {
            var (size, start): (Int, UnsafeMutableRawPointer?) = (0, nil)
            try checked(
                cmpi_shared_part(window, Int32(rank), &size, &start), "MPI_Win_shared_query", "\(place), rank \(rank)")
            try require(
                start != nil && size >= bytes, "rank \(rank) shares \(size) bytes", in: "MPI_Win_shared_query", place)
            parts.append(UnsafeMutableRawBufferPointer(start: start, count: bytes))
        }
        parts[node.rank].initializeMemory(as: UInt8.self, repeating: 0)
        self.window = window
        self.parts = parts
        // Nobody sees a part before its owner has zeroed it.
        try node.barrier()
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
