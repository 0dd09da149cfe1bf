/// A value that belongs to a module and its checkpoints but is not trained, such as a running mean.
public final class Buffer {
    private var stored: Tensor
    /// Whether checkpoints hold it.
    public let isPersistent: Bool
    /// The name under which the module tree knows it, for messages.
    public package(set) var name = ""

    /// A buffer that starts with the given value.
    public init(_ value: Tensor, isPersistent: Bool = true) {
        stored = value.detached
        self.isPersistent = isPersistent
    }

    /// The present value.
    ///
    /// - Precondition: a new value has the old one's shape and type.
    public var value: Tensor {
        get { stored }
        set {
            require(
                newValue.shape == stored.shape && newValue.dtype == stored.dtype, "Buffer.value",
                "\(newValue.dtype) \(newValue.shape) for buffer '\(name)' of \(stored.dtype) \(stored.shape)")
            stored = newValue.detached
        }
    }

    /// Gives the value another type.
    package func convert(to type: DType) { stored = stored.converted(to: type) }
}
