/// A data file that is missing, damaged or of another format than expected.
public struct ArchiveError: Error, Sendable, CustomStringConvertible {
    /// The file, or the program, it is about.
    public let source: String
    /// What is wrong, as one sentence without the file's name.
    public let reason: String
    /// What to do about it; `nil` when nothing in particular is known to help.
    public let advice: String?

    /// Describes a failure.
    ///
    /// - Parameters:
    ///   - source: The file or program it is about.
    ///   - reason: What is wrong.
    ///   - advice: What to do about it.
    public init(_ source: String, _ reason: String, advice: String? = nil) {
        self.source = source
        self.reason = reason
        self.advice = advice
    }

    /// The file, what is wrong with it, and the advice.
    public var description: String {
        "\(source): \(reason)\(advice.map { "\n  \($0)" } ?? "")"
    }
}
