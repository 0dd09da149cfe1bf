/// How much of a data set a run reads per epoch.
///
/// In YAML: `all`, a number of batches, or a fraction such as `0.1`.
public enum BatchLimit: Sendable, Equatable, Codable {
    /// Everything.
    case all
    /// At most so many batches; 0 skips the stage.
    case batches(Int)
    /// A share of the batches, more than 0 and at most 1.
    case fraction(Double)

    /// The number of batches read of `available` ones.
    ///
    /// - Throws: ``TrainingError`` when a fraction amounts to no batch.
    func count(of available: Int, what: String) throws -> Int {
        switch self {
        case .all: return available
        case .batches(let count): return min(count, available)
        case .fraction(let share):
            guard available < .max else {
                throw TrainingError("\(what): nobody knows what a fraction of a stream is; give a number of batches")
            }
            let count = Int(Double(available) * share)
            guard count > 0 || available == 0 else {
                throw TrainingError(
                    "\(what): a fraction of \(share) of \(available) batches is none; the least is \(1 / Double(available))"
                )
            }
            return count
        }
    }

    /// Decodes `all`, a whole number of batches, or a fraction.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let count = try? container.decode(Int.self) {
            guard count >= 0 else { throw Self.wrong(container, "\(count)") }
            self = .batches(count)
        } else if let share = try? container.decode(Double.self) {
            guard share > 0, share <= 1 else { throw Self.wrong(container, "\(share)") }
            self = share == 1 ? .all : .fraction(share)
        } else if let word = try? container.decode(String.self), word == "all" {
            self = .all
        } else {
            throw Self.wrong(container, "this")
        }
    }

    private static func wrong(_ container: any SingleValueDecodingContainer, _ found: String) -> DecodingError {
        .dataCorruptedError(
            in: container, debugDescription: "expected 'all', a number of batches or a fraction, found \(found)")
    }

    /// Encodes in the form that is decoded.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .all: try container.encode("all")
        case .batches(let count): try container.encode(count)
        case .fraction(let share): try container.encode(share)
        }
    }
}
