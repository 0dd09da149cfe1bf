/// How much the ranks of a job have communicated.
public struct CommunicationCounts: Sendable, Equatable {
    /// What all ranks did together, each time waiting for each other: sums of gradients, exchanges, gatherings.
    ///
    /// An optimizer step of a small model is one.
    public var collectives = 0
    /// Bytes of gradients that this rank had summed with those of the others.
    public var bytesReduced = 0

    /// Counts, 0 unless given.
    public init(collectives: Int = 0, bytesReduced: Int = 0) {
        self.collectives = collectives
        self.bytesReduced = bytesReduced
    }
}
