/// Where tensors are and operations run.
public enum Device: String, Sendable, Codable {
    /// The processor, with the threads of ``Trainer/Configuration/threads``.
    case cpu
}
