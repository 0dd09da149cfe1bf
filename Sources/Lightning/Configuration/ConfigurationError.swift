/// Everything that is wrong with a configuration: each problem with the place where it was written.
///
/// The description has one line per problem, `file:line: key.path: what is wrong`, in the order of the file.
public struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// One thing that is wrong.
    public struct Problem: Equatable, Sendable, CustomStringConvertible {
        /// Where it was written: `configs/digits.yaml:7`, or `command line: trainer.maxEpochs=ten`.
        public let location: String
        /// The keys that lead to the value, joined by dots; empty for the whole file.
        public let keyPath: String
        /// What is wrong, and where possible what to write instead.
        public let message: String
        /// The place among the other problems: file before command line, then by line.
        let order: Int

        init(_ origin: ConfigurationOrigin, _ path: [String], _ message: String) {
            location = origin.description
            keyPath = path.joined(separator: ".")
            self.message = message
            order = origin.order.0 << 32 + origin.order.1
        }

        /// The line shown to the user.
        public var description: String {
            keyPath.isEmpty ? "\(location): \(message)" : "\(location): \(keyPath): \(message)"
        }
    }

    /// The problems, sorted by line; never empty.
    public let problems: [Problem]

    /// One line per problem.
    public var description: String { problems.map(\.description).joined(separator: "\n") }

    init(_ problems: [Problem]) {
        // The sort is stable by position: two problems of one line stay in the order they were found.
        self.problems = problems.enumerated()
            .sorted { ($0.element.order, $0.offset) < ($1.element.order, $1.offset) }
            .map(\.element)
    }

    /// Runs every step and reports the configuration problems of all of them as one error.
    ///
    /// Use it to read several sections of a file, so that a mistake in the first does not hide one in the second.
    ///
    /// - Throws: `ConfigurationError` with the problems of every step; any other error at once.
    public static func collecting(_ steps: (() throws -> Void)...) throws {
        var problems: [Problem] = []
        for step in steps {
            do { try step() } catch let error as ConfigurationError { problems += error.problems }
        }
        if !problems.isEmpty { throw ConfigurationError(problems) }
    }
}
