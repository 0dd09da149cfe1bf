import Tensors

/// How lines of one extent become lines of another: each result is a sum of weighted elements.
///
/// Note [Resampling]: interpolation and adaptive averages are separable, so that an image is resampled by a product from
/// each side. The matrices are sparse and the products do not know it, which is no matter for images of the sizes that
/// networks have inside, and gives the gradients for nothing.
struct ResamplingMatrix {
    /// `[outputs][inputs]`.
    private let rows: [[Double]]
    private let inputs: Int

    private init(_ inputs: Int, _ outputs: Int, _ fill: (Int, inout [Double]) -> Void) {
        self.inputs = inputs
        rows = (0..<outputs).map { output in
            var row = Array(repeating: 0.0, count: inputs)
            fill(output, &row)
            return row
        }
    }

    /// The mean of the elements that an output overlaps.
    init(averaging inputs: Int, to outputs: Int) {
        self.init(inputs, outputs) { output, row in
            let first = output * inputs / outputs, end = ((output + 1) * inputs + outputs - 1) / outputs
            for input in first..<end { row[input] = 1 / Double(end - first) }
        }
    }

    /// The element at an output's place, rounded down.
    ///
    /// - Parameter step: How many inputs there are to an output.
    init(nearest inputs: Int, to outputs: Int, step: Double) {
        self.init(inputs, outputs) { output, row in row[min(Int(Double(output) * step), inputs - 1)] = 1 }
    }

    /// The two elements beside an output's place, by their distances.
    ///
    /// - Parameters:
    ///   - step: How many inputs there are to an output.
    ///   - alignsCorners: Whether the first and last elements of both fall on each other, instead of their edges.
    init(linear inputs: Int, to outputs: Int, step: Double, alignsCorners: Bool) {
        self.init(inputs, outputs) { output, row in
            let place =
                alignsCorners
                ? (outputs > 1 ? Double(output) * Double(inputs - 1) / Double(outputs - 1) : 0)
                : max(0, (Double(output) + 0.5) * step - 0.5)
            let first = min(Int(place), inputs - 1), share = min(place - Double(first), 1)
            row[first] += 1 - share
            row[min(first + 1, inputs - 1)] += share
        }
    }

    /// `[outputs, inputs]`.
    func tensor(_ dtype: DType) -> Tensor {
        Tensor(rows.flatMap { $0 }, shape: [rows.count, inputs]).converted(to: dtype)
    }
}

extension Tensor {
    /// `[batch, channels, height, width]` with its lines and columns resampled.
    func resampled(rows: ResamplingMatrix, columns: ResamplingMatrix) -> Tensor {
        if dtype == .bfloat16 {
            return converted(to: .float32).resampled(rows: rows, columns: columns).converted(to: .bfloat16)
        }
        // Weights like 1/49 are not for bfloat16, whatever the precision of the network's products.
        return withProductPrecision(.float32) {
            rows.tensor(dtype).matmul(matmul(columns.tensor(dtype).transposed()))
        }
    }
}

/// Images made larger (or smaller) by interpolation.
public final class Upsample: Module, Layer {
    /// How an output is made of inputs.
    public enum Mode: Sendable, Equatable {
        /// The input at its place, rounded down.
        case nearest
        /// The four inputs around its place, by their distances; with `alignsCorners` the corners' centres fall on each
        /// other, otherwise their edges.
        case bilinear(alignsCorners: Bool = false)
    }

    private enum Extent {
        case scale(Double)
        case size(Int, Int)
    }

    private let extent: Extent
    private let mode: Mode

    /// Images `scale` times as large in both directions, rounded down.
    public init(scale: Double, mode: Mode = .nearest) {
        require(scale > 0, "Upsample", "a scale of \(scale); it is positive")
        extent = .scale(scale)
        self.mode = mode
    }

    /// Images of a given size.
    public init(size: (height: Int, width: Int), mode: Mode = .nearest) {
        require(size.height > 0 && size.width > 0, "Upsample", "a size of \(size.height)×\(size.width)")
        extent = .size(size.height, size.width)
        self.mode = mode
    }

    /// `[batch, channels, height, width]` to `[batch, channels, …, …]`.
    public func callAsFunction(_ input: Tensor) -> Tensor {
        require(input.rank == 4, "Upsample", "input \(input.shape) instead of [batch, channels, height, width]")
        let (height, width) = (input.shape[2], input.shape[3])
        switch extent {
        case .scale(let scale):
            return input.resampled(
                rows: matrix(height, Int(Double(height) * scale), step: 1 / scale),
                columns: matrix(width, Int(Double(width) * scale), step: 1 / scale))
        case .size(let toHeight, let toWidth):
            return input.resampled(
                rows: matrix(height, toHeight, step: Double(height) / Double(toHeight)),
                columns: matrix(width, toWidth, step: Double(width) / Double(toWidth)))
        }
    }

    private func matrix(_ inputs: Int, _ outputs: Int, step: Double) -> ResamplingMatrix {
        switch mode {
        case .nearest: ResamplingMatrix(nearest: inputs, to: outputs, step: step)
        case .bilinear(let alignsCorners):
            ResamplingMatrix(linear: inputs, to: outputs, step: step, alignsCorners: alignsCorners)
        }
    }
}
