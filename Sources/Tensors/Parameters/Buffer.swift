/// A value that belongs to a module and its checkpoints but is not trained, such as a running mean.
public final class Buffer {
    /// The present value.
    ///
    /// - Precondition: a new value has the old one's shape and type.
    public var value: Tensor {
        didSet {
            require(
                value.shape == oldValue.shape && value.dtype == oldValue.dtype, "Buffer.value",
                "\(value.dtype) \(value.shape) for buffer '\(name)' of \(oldValue.dtype) \(oldValue.shape)")
            value = value.detached
        }
    }
    /// Whether checkpoints hold it.
    public let isPersistent: Bool
    /// The name under which the module tree knows it, for messages.
    public package(set) var name = ""

    /// A buffer that starts with the given value.
    public init(_ value: Tensor, isPersistent: Bool = true) {
        self.value = value.detached
        self.isPersistent = isPersistent
    }
}
