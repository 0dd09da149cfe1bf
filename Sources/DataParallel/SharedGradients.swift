import MPI
import Tensors

/// Memory for gradients that the ranks of a node see, so that they add it up without sending it.
///
/// Note [Life of a window]: a window is allocated and given back by all ranks together, on the lane, but the last
/// parameter that lies in it goes at a moment of each rank's own. So who uses the memory holds this object, the lane
/// holds the window, and whenever the ranks allocate a new one they give back those that nobody uses on any rank.
public final class SharedGradients: Sendable {
    /// This rank's part, zeroed at first.
    package nonisolated(unsafe) let buffer: UnsafeMutableRawBufferPointer
    /// Which window of the lane it is, the same on every rank.
    fileprivate let number: Int
    /// Whether an agreement of the lane is a barrier after which all ranks see what all wrote here.
    let isOrderedByAgreement: Bool

    fileprivate init(buffer: UnsafeMutableRawBufferPointer, number: Int, isOrderedByAgreement: Bool) {
        self.buffer = buffer
        self.number = number
        self.isOrderedByAgreement = isOrderedByAgreement
    }

    /// Allocates memory of so many bytes on every rank.
    ///
    /// Collective.
    ///
    /// - Returns: `nil`, on every rank, when memory cannot be shared or a sum inside nodes first would not have the
    ///   order of Note [Tree order]: gradients are sent then.
    /// - Throws: `MPIError` when MPI fails.
    public static func allocate(bytes: Int, on lane: CommunicationLane) throws -> SharedGradients? {
        let request = CollectiveRequest(.allGather, "memory for gradients", count: bytes, of: .bytes)
        return try lane.performAgreed(request) { lane, _ in try lane.windows.allocate(bytes, on: lane) }
    }

    /// How many pieces of memory the lane holds.
    package static func count(on lane: CommunicationLane) throws -> Int {
        try lane.perform(CollectiveRequest(.barrier, "count of windows")) { $0.windows.number }
    }
}

/// The windows of a lane, used by its work only.
final class GradientWindows {
    private struct Window {
        let memory: NodeAllReduce
        weak var user: SharedGradients?
    }

    private var windows: [Int: Window] = [:]
    private var count = 0

    fileprivate var number: Int { windows.count }

    fileprivate func allocate(_ bytes: Int, on lane: LaneContext) throws -> SharedGradients? {
        let world = lane.communicator
        try freeUnused(world)
        guard let node = lane.agreement.node, try world.allHaveRoom(for: node.size * (bytes + 8192)),
            let memory = try NodeAllReduce(world: world, node: node, bytes: bytes, pace: lane.pace)
        else { return nil }
        count += 1
        let made = SharedGradients(
            buffer: memory.buffer, number: count,
            isOrderedByAgreement: memory.isOneNode && (lane.agreement.isThroughMemory || world.size == 1))
        windows[count] = Window(memory: memory, user: made)
        return made
    }

    /// Replaces part of the memory, in elements from its start, by the sums over all ranks, times a factor.
    func sum(
        _ range: Range<Int>, of type: DType, in shared: SharedGradients, times factor: Double, haveMet: Bool
    ) throws {
        guard let memory = windows[shared.number]?.memory else { fatalError("gradients in no window") }
        if type == .float64 {
            try memory.sum(range, of: Double.self, times: factor, haveMet: haveMet)
        } else {
            try memory.sum(range, of: Float.self, times: factor, haveMet: haveMet)
        }
    }

    private func freeUnused(_ world: Communicator) throws {
        let unused = windows.keys.filter { windows[$0]?.user == nil }.sorted().map(Int64.init)
        let everywhere = try world.allGather(unused).map(Set.init)
        for number in unused where everywhere.allSatisfy({ $0.contains(number) }) {
            try windows.removeValue(forKey: Int(number))?.memory.free()
        }
    }
}
