import MPI
import Tensors

/// What work on the communication lane may use.
public final class LaneContext {
    /// The ranks of the lane.
    public let communicator: Communicator
    /// The check that all ranks ask for the same.
    public let agreement: Agreement
    /// The sum of gradients in fixed order.
    public let treeAllReduce: TreeAllReduce
    /// Gradients in memory that the ranks of a node share.
    let windows = GradientWindows()
    /// How work waits for other ranks.
    let pace = Pace()

    init(communicator: Communicator, hostname: String) {
        self.communicator = communicator
        agreement = Agreement(communicator: communicator, hostname: hostname, pace: pace)
        treeAllReduce = TreeAllReduce(communicator: communicator)
    }

    /// Replaces numbers in memory of this rank by their sums over all ranks, times a factor.
    func sum(_ memory: UnsafeMutableRawPointer, count: Int, of type: DType, times factor: Double) throws {
        if type == .float64 {
            let start = memory.assumingMemoryBound(to: Double.self)
            try treeAllReduce.sum(UnsafeMutableBufferPointer(start: start, count: count), times: factor)
        } else {
            let start = memory.assumingMemoryBound(to: Float.self)
            try treeAllReduce.sum(UnsafeMutableBufferPointer(start: start, count: count), times: factor)
        }
    }
}
