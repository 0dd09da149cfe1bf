/// What a rank asks of the others, in words that can be compared and printed.
public struct CollectiveRequest: Sendable, Equatable, CustomStringConvertible {
    /// The kinds of collective work.
    public enum Kind: UInt32, Sendable, CaseIterable {
        /// Waiting for all.
        case barrier = 1
        /// One rank's bytes to all.
        case broadcast
        /// The reduction over all ranks, on all ranks.
        case allReduce
        /// Every rank's elements, on all ranks.
        case allGather
        /// Every rank's elements, on one rank.
        case gather
        /// A part from every rank to every rank.
        case allToAll
        /// The exchange of an optimizer step: gradients, sample counts and flags.
        case optimizerStep
    }

    /// The type of the elements that travel.
    public enum ElementType: UInt32, Sendable, CaseIterable {
        /// Nothing travels.
        case nothing = 0
        /// Bytes without a type.
        case bytes
        /// 32-bit floating point.
        case float32
        /// 64-bit floating point.
        case float64
        /// 32-bit signed integers.
        case int32
        /// 64-bit signed integers.
        case int64
    }

    /// The kind of work.
    public var kind: Kind

    /// What the work is for, as a user would say it; part of what must agree.
    public var tag: String

    /// The number of elements this rank gives.
    ///
    /// It must agree too, so leave it 0 where ranks may differ.
    public var count: Int

    /// The type of the elements.
    public var type: ElementType

    /// Makes a request; `count` is in elements.
    public init(_ kind: Kind, _ tag: String, count: Int = 0, of type: ElementType = .nothing) {
        self.kind = kind
        self.tag = tag
        self.count = count
        self.type = type
    }

    /// For example `allGather 'my tag' of 3 float32`.
    public var description: String { description(tag: tag) }

    /// The same words with a quoted tag.
    func description(tag: String) -> String {
        type == .nothing ? "\(kind) '\(tag)'" : "\(kind) '\(tag)' of \(count) \(type)"
    }
}
