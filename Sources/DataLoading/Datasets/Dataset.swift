import Tensors

/// A finite collection of samples that can be read in any order.
public protocol Dataset<Batch>: Sendable {
    /// What several samples put together look like.
    associatedtype Batch: DataBatch
    /// The number of samples.
    var count: Int { get }
    /// Whether reading is a matter of memory copies; if not, loaders read ahead on a thread of their own.
    var isInMemory: Bool { get }
    /// The samples at the given indices, in that order, as one batch.
    ///
    /// One loader calls it from one thread at a time, which may not be the training thread. Random numbers come from the
    /// ``RandomContext``, which is bound so that they are the same in every run.
    func batch(at indices: [Int]) throws -> Batch
}
