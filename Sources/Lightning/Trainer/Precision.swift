import Tensors

/// The number types a run computes with.
///
/// In YAML: `float32`, `float64True`, `bfloat16Mixed` or `bfloat16True`; PyTorch Lightning's names `32-true`,
/// `64-true`, `bf16-mixed` and `bf16-true` are understood too. Validation, test and prediction use the precision of
/// their trainer.
public enum Precision: String, Sendable {
    /// Everything in single precision.
    case float32
    /// Everything in double precision: parameters, buffers, batches and what layers make.
    case float64True
    /// Products in bfloat16 with sums in single precision, everything else in single precision.
    ///
    /// Weights, gradients and optimizer state stay `float32`; the operands of matrix products, linear layers, attention
    /// and convolutions are rounded, in the backward pass too (see `ProductPrecision`). Losses, norms and softmax are
    /// not affected, and no loss scaling is needed, since bfloat16 has the range of `float32`.
    case bfloat16Mixed
    /// Parameters, buffers, batches and activations in bfloat16; arithmetic in single precision.
    ///
    /// Halves the memory of activations. Gradients are gathered in `float32`, losses are `float32`, and the optimizer
    /// keeps its state and values of the weights in `float32`, without which small updates would be rounded away.
    case bfloat16True

    /// The type of parameters, buffers and batches; nil where they stay as they are.
    var converted: DType? {
        switch self {
        case .float32, .bfloat16Mixed: nil
        case .float64True: .float64
        case .bfloat16True: .bfloat16
        }
    }

    /// Runs a closure with the products of this precision, and with its type for new tensors.
    func around<R>(_ body: () throws -> R) rethrows -> R {
        switch self {
        case .float32: try body()
        case .bfloat16Mixed: try withProductPrecision(.bfloat16, body)
        case .float64True: try DType.$standard.withValue(.float64, operation: body)
        case .bfloat16True: try DType.$standard.withValue(.bfloat16, operation: body)
        }
    }
}

extension Precision: Codable {
    /// The precision of a name, also of one of PyTorch Lightning's.
    public init?(named name: String) {
        let others: [String: Precision] = [
            "32-true": .float32, "64-true": .float64True, "bf16-mixed": .bfloat16Mixed, "bf16-true": .bfloat16True,
        ]
        guard let precision = Precision(rawValue: name) ?? others[name] else { return nil }
        self = precision
    }

    /// What to say about a name that means nothing here.
    static func unknown(_ name: String) -> String {
        let hint =
            ["16-mixed", "16-true", "16", "float16"].contains(name)
            ? "float16 needs hardware that CPUs do not have; bfloat16Mixed is as fast and needs no loss scaling. "
            : name.hasPrefix("transformer-engine") ? "8-bit products need hardware that CPUs do not have. " : ""
        return "unknown value '\(name)'; \(hint)allowed: float32, float64True, bfloat16Mixed, bfloat16True "
            + "(or 32-true, 64-true, bf16-mixed, bf16-true)"
    }

    /// Decodes a name.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let name = try container.decode(String.self)
        guard let precision = Precision(named: name) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: Self.unknown(name))
        }
        self = precision
    }

    /// Encodes the name used here.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

extension Trainer {
    /// Gives a module the types of this run's precision, before optimizers see its parameters.
    ///
    /// In `float32` and `bfloat16Mixed` a module keeps the types it was made with, but one that another run had
    /// converted goes back to `float32`.
    func applyPrecision(to module: LightningModule) {
        if let type = configuration.precision.converted {
            module.convert(to: type)
            module.wasConverted = true
        } else if module.wasConverted {
            module.convert(to: .float32)
            module.wasConverted = false
        }
    }
}
