import Lightning

/// The configuration types that the tests decode into: shaped as the real ones are.
struct TrainerSample: Codable, Equatable {
    enum Mode: String, Codable, CaseIterable { case min, max }

    struct Checkpointing: Codable, Equatable, DefaultInitializable {
        var saveTop = 1
        var monitor: String?
        var mode = Mode.min
    }

    var maxEpochs = 10
    var learningRate: Float = 1e-3
    var maxSteps: Int?
    var fastDevRun = false
    var name = "run"
    var limit = LimitSample.all
    var checkpointing = Checkpointing()
    var tags: [String: Int] = ["a": 1]
    var layers: [LayerSample] = [LayerSample(size: 8)]
    var history: [Checkpointing] = []
}

/// A struct without defaults: every key but the optional one must be given.
struct LayerSample: Codable, Equatable {
    var size: Int
    var activation: String?
}

/// An enum with associated values and its own coding: `all`, a count, or a fraction.
enum LimitSample: Codable, Equatable {
    case all
    case batches(Int)
    case fraction(Double)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let count = try? container.decode(Int.self) {
            self = .batches(count)
        } else if let fraction = try? container.decode(Double.self), (0...1).contains(fraction) {
            self = .fraction(fraction)
        } else if try container.decode(String.self) == "all" {
            self = .all
        } else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "expected all, a number of batches or a fraction from 0.0 to 1.0")
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .all: try container.encode("all")
        case .batches(let count): try container.encode(count)
        case .fraction(let fraction): try container.encode(fraction)
        }
    }
}

/// An enum with associated values in the compiler's own coding.
enum ScheduleSample: Codable, Equatable {
    case constant
    case step(every: Int, factor: Double)
}

/// A type whose valid keys depend on a word it reads first.
struct OptimizerSample: Codable, Equatable {
    enum Name: String, Codable, CaseIterable { case sgd, adam }
    var name: Name
    var momentum: Double?
    var beta: Double?

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(Name.self, forKey: .name)
        switch name {
        case .sgd: momentum = try container.decodeIfPresent(Double.self, forKey: .momentum)
        case .adam: beta = try container.decodeIfPresent(Double.self, forKey: .beta)
        }
    }
}

/// The text of the error a piece of work throws; empty when it throws none.
func errorText(_ work: () throws -> Void) -> String {
    do { try work() } catch { return "\(error)" }
    return ""
}

/// Decodes the section `trainer` of a text over the defaults.
func trainer(_ text: String, _ overrides: String...) throws -> TrainerSample {
    try ConfigurationFile(text: text, name: "a.yaml", overrides: overrides)
        .decode(TrainerSample.self, default: TrainerSample(), at: "trainer")
}
