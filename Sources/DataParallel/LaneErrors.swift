/// Work was given to a communication lane after its shutdown.
public struct LaneStopped: Error, Sendable, Equatable, CustomStringConvertible {
    /// The work that came too late.
    public let request: CollectiveRequest

    /// One sentence.
    public var description: String { "\(request) came after the shutdown of the communication lane" }
}

/// A collective was asked for while gradients were on their way, where ranks are at different places.
public struct CollectiveInGroup: Error, Sendable, Equatable, CustomStringConvertible {
    /// The collective that was refused.
    public let request: CollectiveRequest
    /// The work it came into.
    public let group: CollectiveRequest

    /// What was refused and where it may be done.
    public var description: String {
        "\(request) was asked for during \(group), while gradients travel: gather in the step or after the backward "
            + "pass, not in onBeforeBackward or in it"
    }
}
