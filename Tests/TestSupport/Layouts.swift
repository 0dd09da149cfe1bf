import Tensors

/// How the elements of a tensor lie in memory.
public enum Layout: String, CaseIterable, Sendable {
    /// Row by row, without gaps.
    case contiguous
    /// With the dimensions in the opposite order.
    case transposed
    /// As the inner part of a larger block: gaps between the rows, and an offset.
    case sliced
    /// As one block repeated along the first dimension, without being stored more than once.
    case expanded

    /// The memory of a tensor in this layout, and the view that makes the tensor of it again.
    ///
    /// An expanded tensor repeats the first block of `tensor`, so its elements are others.
    public func storage(for tensor: Tensor) -> (storage: Tensor, view: @Sendable (Tensor) -> Tensor) {
        guard tensor.rank > 0, self != .contiguous else { return (tensor.copied(), { $0 }) }
        let shape = tensor.shape
        switch self {
        case .contiguous:
            return (tensor.copied(), { $0 })
        case .transposed:
            let backwards = Array((0..<tensor.rank).reversed())
            return (tensor.permuted(backwards).contiguous(), { $0.permuted(backwards) })
        case .sliced:
            let last = tensor.rank - 1
            var border = shape
            border[last] = 2
            let margin = Tensor(filling: 77, shape: border, dtype: tensor.dtype)
            let whole = Tensor.concatenate([margin, tensor, margin], along: last)
            return (whole, { $0.slice(2..<(2 + shape[last]), along: last) })
        case .expanded:
            guard shape[0] > 0 else { return (tensor.copied(), { $0 }) }
            return (tensor.slice(0..<1, along: 0).copied(), { $0.expanded(to: shape) })
        }
    }

    /// The tensor in this layout; see ``storage(for:)`` for what an expanded one holds.
    public func apply(to tensor: Tensor) -> Tensor {
        let (storage, view) = storage(for: tensor)
        return view(storage)
    }
}

/// Shapes small enough to exhaust, yet with every rank to 4, extents of 1 at each end, and rows beyond a vector's width.
public let smallShapes: [Shape] = [
    [], [1], [5], [19], [1, 1], [3, 1], [1, 4], [2, 3], [4, 17], [2, 1, 3], [1, 3, 1], [3, 2, 5], [2, 3, 1, 4],
]

/// Numbers evenly spaced between −2 and 2 in random order, the same in every run.
///
/// No two are near each other or near 0, where some derivatives jump; those of odd and even seeds are apart too.
public func sampleValues(_ shape: Shape, dtype: DType = .float64, seed: UInt64 = 0) -> Tensor {
    var stream = RandomStream(seed: seed, purpose: .user, step: UInt64(shape.elementCount))
    let count = shape.elementCount
    let order = stream.permutation(count)
    guard dtype.isFloatingPoint else {
        return Tensor(order.map { Int64($0 % 7) }, shape: shape).converted(to: dtype)
    }
    let shift = (seed % 2 == 0 ? 0.25 : 0.6) - Double(count / 2)
    return Tensor(order.map { (Double($0) + shift) * 4 / Double(count) }, shape: shape).converted(to: dtype)
}

/// Calls a function with a tensor of every shape, layout and type, and with a contiguous copy of it for reference.
public func withEvery(
    shapes: [Shape] = smallShapes, layouts: [Layout] = Layout.allCases, dtypes: [DType] = [.float32, .float64],
    _ body: (_ tensor: Tensor, _ dense: Tensor, _ name: String) throws -> Void
) rethrows {
    for dtype in dtypes {
        for shape in shapes {
            for layout in layouts {
                let tensor = layout.apply(to: sampleValues(shape, dtype: dtype))
                try body(tensor, tensor.copied(), "\(dtype) \(shape) \(layout)")
            }
        }
    }
}

/// Calls a function with two tensors in every pair of layouts.
public func withEveryPair(
    shapes: [(Shape, Shape)], layouts: [Layout] = Layout.allCases, dtypes: [DType] = [.float32, .float64],
    _ body: (_ a: Tensor, _ b: Tensor, _ name: String) throws -> Void
) rethrows {
    for dtype in dtypes {
        for (shapeA, shapeB) in shapes {
            for layoutA in layouts {
                for layoutB in layouts {
                    let a = layoutA.apply(to: sampleValues(shapeA, dtype: dtype))
                    let b = layoutB.apply(to: sampleValues(shapeB, dtype: dtype, seed: 1))
                    try body(a, b, "\(dtype) \(shapeA) \(layoutA) with \(shapeB) \(layoutB)")
                }
            }
        }
    }
}
