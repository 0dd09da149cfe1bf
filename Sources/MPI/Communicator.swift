import CMPI

/// A group of ranks that communicate among themselves: rank, size, and blocking collectives over them.
///
/// Every collective must be called by every rank of the communicator, in the same order. MPI is entered by one
/// thread at a time: after start-up that is the communication lane, and nobody else calls these methods.
/// A communicator lives until the process ends; MPI releases it in `MPI_Finalize`.
public final class Communicator: Sendable {
    // A handle is an opaque pointer in some MPIs, which Swift does not call Sendable. It is a name, never followed
    // here, and MPI itself guards what it names.
    nonisolated(unsafe) let handle: CMPICommunicator

    /// This process's number in the communicator, from 0 to `size - 1`.
    public let rank: Int

    /// The number of ranks in the communicator.
    public let size: Int

    /// The largest count given to one MPI call, in elements (bytes for the raw collectives).
    ///
    /// MPI counts are 32-bit integers; longer messages travel in several calls. Tests lower it to see that happen.
    public let chunkLimit: Int

    init(adopting handle: CMPICommunicator, chunkLimit: Int = Int(Int32.max)) throws(MPIError) {
        var rank: Int32 = 0
        var size: Int32 = 0
        try checked(cmpi_return_errors(handle), "MPI_Comm_set_errhandler", "a new communicator")
        try checked(MPI_Comm_rank(handle.comm, &rank), "MPI_Comm_rank", "a new communicator")
        try checked(MPI_Comm_size(handle.comm, &size), "MPI_Comm_size", "a new communicator")
        self.handle = handle
        self.rank = Int(rank)
        self.size = Int(size)
        self.chunkLimit = chunkLimit
    }

    /// Where in the communicator an error happened.
    var place: String { "rank \(rank) of \(size)" }

    /// A communicator over the same ranks whose messages never meet this one's.
    ///
    /// Collective.
    ///
    /// - Parameter chunkLimit: the largest count of one MPI call, in elements; `nil` keeps this communicator's.
    /// - Throws: `MPIError` when MPI fails or the limit is not in `1...Int32.max`.
    public func duplicate(chunkLimit: Int? = nil) throws(MPIError) -> Communicator {
        let limit = chunkLimit ?? self.chunkLimit
        try require(
            (1...Int(Int32.max)).contains(limit), "chunk limit \(limit) is outside 1...\(Int32.max)", in: #function,
            place)
        var copy = CMPICommunicator()
        try checked(MPI_Comm_dup(handle.comm, &copy.comm), "MPI_Comm_dup", place)
        return try Communicator(adopting: copy, chunkLimit: limit)
    }

    /// The communicator of the ranks that gave the same `color`, ordered by `key`.
    ///
    /// Collective.
    ///
    /// - Parameters:
    ///   - color: not negative; `nil` leaves this rank out.
    ///   - key: the order of ranks in the new communicator; equal keys keep the present order.
    /// - Returns: the new communicator, or `nil` for a rank that is left out.
    /// - Throws: `MPIError` when MPI fails or the color is negative or too large for MPI.
    public func split(color: Int?, key: Int = 0) throws(MPIError) -> Communicator? {
        let place = "\(place), color \(color.map(String.init) ?? "none"), key \(key)"
        let wide = color.map { Int32(exactly: $0) } ?? cmpi_undefined()
        guard let mpiColor = wide, color == nil || mpiColor >= 0, let mpiKey = Int32(exactly: key) else {
            throw MPIError(routine: #function, code: nil, message: "color or key is out of range", context: place)
        }
        var child = CMPICommunicator()
        try checked(MPI_Comm_split(handle.comm, mpiColor, mpiKey, &child.comm), "MPI_Comm_split", place)
        return cmpi_is_null(child) != 0 ? nil : try Communicator(adopting: child, chunkLimit: chunkLimit)
    }

    /// The communicator of the ranks on this node (those that can share memory), in the present order.
    ///
    /// Collective.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public func splitShared() throws(MPIError) -> Communicator {
        var child = CMPICommunicator()
        try checked(cmpi_split_shared(handle, 0, &child), "MPI_Comm_split_type", place)
        return try Communicator(adopting: child, chunkLimit: chunkLimit)
    }

    /// Returns when every rank has called it.
    ///
    /// - Throws: `MPIError` when MPI fails.
    public func barrier() throws(MPIError) {
        try checked(MPI_Barrier(handle.comm), "MPI_Barrier", place)
    }

    /// Copies `root`'s bytes into every rank's buffer.
    ///
    /// All ranks give the same number of bytes.
    ///
    /// - Throws: `MPIError` when MPI fails or `root` is not a rank.
    public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(MPIError) {
        try require((0..<size).contains(root), "root \(root) is not a rank", in: #function, place)
        var offset = 0
        while offset < bytes.count {
            let count = min(chunkLimit, bytes.count - offset)
            try checked(
                MPI_Bcast(bytes.baseAddress.map { $0 + offset }, Int32(count), cmpi_byte(), Int32(root), handle.comm),
                "MPI_Bcast", "\(place), root \(root), \(count) bytes at \(offset) of \(bytes.count)")
            offset += count
        }
    }

    /// Replaces each element by its reduction over all ranks.
    ///
    /// All ranks give the same number of elements.
    ///
    /// The order of a floating-point sum is MPI's and may change with the number of ranks. Gradients are summed by
    /// a tree of fixed order instead; this one is for counts, maxima and times.
    /// - Throws: `MPIError` when MPI fails.
    public func allReduce<Element: ReductionElement>(
        _ elements: UnsafeMutableBufferPointer<Element>, _ operation: ReductionOperation
    ) throws(MPIError) {
        let type = Element.reductionType
        var offset = 0
        while offset < elements.count {
            let count = min(chunkLimit, elements.count - offset)
            let start = elements.baseAddress.map { $0 + offset }
            try checked(
                MPI_Allreduce(cmpi_in_place(), start, Int32(count), type.handle, operation.handle, handle.comm),
                "MPI_Allreduce",
                "\(place), \(operation) of \(count) \(type.name) at \(offset) of \(elements.count)")
            offset += count
        }
    }
}
