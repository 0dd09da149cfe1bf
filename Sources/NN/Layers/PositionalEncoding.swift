import Foundation
import Tensors

/// Adds to each position of a sequence a vector of sines and cosines that tells where it is, then drops out.
///
/// Element 2i of position p is sin(p / 10000^(2i / size)), element 2i + 1 the cosine (Vaswani et al., 2017). Nothing of it is
/// learnt, and nothing is in state dictionaries.
public final class PositionalEncoding: Module, Layer {
    /// Which position's vector is added.
    public enum Positions: Sendable {
        /// Each position's own.
        case own
        /// That of the position after the last one, to all: what `lightning.pytorch.demos.Transformer` does. The order of a
        /// sequence then only shows through a causal mask.
        case length
    }

    private let table: Buffer
    private let dropout: Double
    private let positions: Positions

    /// Vectors for sequences of up to `longest` positions.
    public init(_ size: Int, dropout: Double = 0.1, longest: Int = 5000, positions: Positions = .own) {
        require(size > 0 && longest > 0, "PositionalEncoding", "\(longest) vectors of size \(size)")
        require(dropout >= 0 && dropout < 1, "PositionalEncoding", "a dropout of \(dropout); it is in 0 ..< 1")
        let numbers = (0..<longest).flatMap { position in
            (0..<size).map { element in
                let rate = exp(Double(element / 2 * 2) * -log(10000) / Double(size))
                return element % 2 == 0 ? sin(Double(position) * rate) : cos(Double(position) * rate)
            }
        }
        table = Buffer(Tensor(numbers, shape: [longest, size]).converted(to: .standard), isPersistent: false)
        self.dropout = dropout
        self.positions = positions
    }

    /// `[batch, length, size]` to the same shape.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        let longest = table.value.shape[0], size = table.value.shape[1]
        let last = input.rank == 3 ? input.shape[1] + (positions == .length ? 1 : 0) : 0
        require(
            input.rank == 3 && input.shape[2] == size && last <= longest, "PositionalEncoding",
            "input \(input.shape) instead of [batch, up to \(longest), \(size)]")
        let vectors = positions == .own ? table.value[0..<input.shape[1]] : table.value[input.shape[1]]
        let placed = input + vectors.converted(to: input.dtype)
        return isTraining ? placed.droppedOut(dropout) : placed
    }
}
