import Tensors

/// A module that maps one tensor to one tensor.
public protocol Layer: Module {
    /// The layer's output for an input.
    func callAsFunction(_ input: Tensor) -> Tensor
}

/// Layers applied one after another.
///
/// The keys of its parts are their positions: `0.weight`, `2.bias`.
public final class Sequential: Module, Layer {
    /// The layers, in order of application.
    public let layers: [any Layer]

    /// A chain of layers from a list.
    public init(_ layers: [any Layer]) { self.layers = layers }

    /// A chain of layers written one below the other.
    public convenience init(@LayerBuilder _ layers: () -> [any Layer]) { self.init(layers()) }

    /// The layers, named by position.
    public override var namedParts: [(name: String, part: Any)] {
        layers.enumerated().map { (String($0.offset), $0.element) }
    }

    /// The output of the last layer.
    ///
    /// A ``Linear`` layer or a ``BatchNorm`` and the ``ReLU`` after it are one operation, unless somebody wants to see what
    /// each does.
    public func callAsFunction(_ input: Tensor) -> Tensor { observed(input, run) }

    private func run(_ input: Tensor) -> Tensor {
        var output = input
        var rest = layers[...]
        while let layer = rest.popFirst() {
            if rest.first is ReLU, !ForwardRecord.isRecording, let rectified = Self.rectified(layer, output) {
                rest.removeFirst()
                output = rectified
            } else {
                output = layer.observed(output) { layer($0) }
            }
        }
        return output
    }

    /// What a ``ReLU`` makes of a layer's output; nil where that takes two operations.
    private static func rectified(_ layer: any Layer, _ input: Tensor) -> Tensor? {
        (layer as? Linear)?.rectified(input) ?? (layer as? BatchNorm)?.rectified(input)
    }
}

/// Collects the layers written in the braces of a ``Sequential``.
@resultBuilder
public enum LayerBuilder {
    /// One layer.
    public static func buildExpression(_ layer: any Layer) -> [any Layer] { [layer] }
    /// Several layers.
    public static func buildExpression(_ layers: [any Layer]) -> [any Layer] { layers }
    /// The layers of a block.
    public static func buildBlock(_ parts: [any Layer]...) -> [any Layer] { parts.flatMap { $0 } }
    /// The layers of a loop.
    public static func buildArray(_ parts: [[any Layer]]) -> [any Layer] { parts.flatMap { $0 } }
    /// The layers of an `if` without `else`.
    public static func buildOptional(_ part: [any Layer]?) -> [any Layer] { part ?? [] }
    /// The layers of the first branch.
    public static func buildEither(first part: [any Layer]) -> [any Layer] { part }
    /// The layers of the second branch.
    public static func buildEither(second part: [any Layer]) -> [any Layer] { part }
}
