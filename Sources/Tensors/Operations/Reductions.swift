import CKernels

extension Tensor {
    /// The sum of all elements, as a scalar tensor.
    public func sum() -> Tensor {
        if node == nil { return total() }
        let full = shape
        return detached.total().recorded("sum", self) { gradient in [gradient.expandedView(to: full)] }
    }

    /// The mean of all elements, as a scalar tensor.
    public func mean() -> Tensor { mean(along: Array(0..<rank)) }

    /// Sums along dimensions.
    ///
    /// - Parameters:
    ///   - dimensions: Which to sum over; negative ones count from the end.
    ///   - keepingDimensions: Leaves them in the shape with extent 1.
    public func sum(along dimensions: [Int], keepingDimensions: Bool = false) -> Tensor {
        let reduced = Set(dimensions.map { shape.normalized($0, "sum") })
        require(reduced.count == dimensions.count, "sum", "dimensions \(dimensions) of shape \(shape) repeat")
        var kept = shape
        for d in reduced { kept[d] = 1 }
        let full = shape
        let value = detached.summed(over: reduced, kept: kept)
        let result = value.recorded("sum", self) { gradient in
            [gradient.reshaped(to: kept).expandedView(to: full)]
        }
        return keepingDimensions ? result : result.reshaped(to: kept.without(reduced))
    }

    /// Sums along one dimension.
    public func sum(along dimension: Int, keepingDimensions: Bool = false) -> Tensor {
        // The gradient of a bias, which every layer asks for at every step: no lists, no sets.
        if node == nil, rank == 2, dimension == 0, !keepingDimensions, dtype.isFloatingPoint, dtype != .bfloat16,
            isContiguous
        {
            let result = Tensor(uninitialized: [shape[1]], dtype: dtype)
            sumColumns(rows: shape[0], columns: shape[1], into: result)
            return result
        }
        return sum(along: [dimension], keepingDimensions: keepingDimensions)
    }

    /// Means along dimensions.
    public func mean(along dimensions: [Int], keepingDimensions: Bool = false) -> Tensor {
        if dtype == .bfloat16 {
            return inFloat32 { $0.mean(along: dimensions, keepingDimensions: keepingDimensions) }
        }
        let count = dimensions.reduce(1) { $0 * shape[$1] }
        return sum(along: dimensions, keepingDimensions: keepingDimensions) / Double(count)
    }

    /// Means along one dimension.
    public func mean(along dimension: Int, keepingDimensions: Bool = false) -> Tensor {
        mean(along: [dimension], keepingDimensions: keepingDimensions)
    }

    /// Variances along dimensions, divided by the count less `correction` (1: unbiased, 0: of the population).
    public func variance(along dimensions: [Int], correction: Int = 1, keepingDimensions: Bool = false) -> Tensor {
        if dtype == .bfloat16 {
            return inFloat32 {
                $0.variance(along: dimensions, correction: correction, keepingDimensions: keepingDimensions)
            }
        }
        let count = dimensions.reduce(1) { $0 * shape[$1] }
        let centred = self - mean(along: dimensions, keepingDimensions: true)
        return centred.squared().sum(along: dimensions, keepingDimensions: keepingDimensions)
            / Double(count - correction)
    }

    /// The sum of all elements, of a tensor without gradient: one row, summed in the order of memory.
    private func total() -> Tensor {
        require(dtype != .uint8, "sum", "bytes would overflow; convert to int64 or a floating-point type first")
        if dtype == .bfloat16 { return inFloat32 { $0.total() } }
        let result = Tensor(uninitialized: [], dtype: dtype)
        let x = contiguous()
        ck_reduce_rows(CK_SUM, dtype.kernelType, 1, Int64(elementCount), x.pointer, result.freshPointer)
        return result
    }

    private func summed(over reduced: Set<Int>, kept: Shape) -> Tensor {
        require(dtype != .uint8, "sum", "bytes would overflow; convert to int64 or a floating-point type first")
        guard !reduced.isEmpty else { return self }
        if dtype == .bfloat16 { return inFloat32 { $0.summed(over: reduced, kept: kept) } }
        let result = Tensor(uninitialized: kept, dtype: dtype)
        let outer = (0..<rank).filter { !reduced.contains($0) }
        // The leading dimensions of a matrix: columns are summed in place, as for a bias.
        if dtype.isFloatingPoint, isContiguous, outer.allSatisfy({ $0 >= reduced.count }), !outer.isEmpty {
            let columns = outer.reduce(1) { $0 * shape[$1] }
            let rows = columns == 0 ? 0 : elementCount / columns
            sumColumns(rows: rows, columns: columns, into: result)
            return result
        }
        let rowsFirst = outer + reduced.sorted()
        let x = (rowsFirst == Array(0..<rank) ? self : permuted(rowsFirst)).contiguous()
        let rows = outer.reduce(1) { $0 * shape[$1] }
        let columns = reduced.reduce(1) { $0 * shape[$1] }
        let size = dtype.byteCount
        Parallel.forRanges(rows, grain: Swift.max(1, elementwiseGrain / Swift.max(columns, 1))) { range in
            ck_reduce_rows(
                CK_SUM, dtype.kernelType, Int64(range.count), Int64(columns),
                x.pointer + range.lowerBound * columns * size, result.freshPointer + range.lowerBound * size)
        }
        return result
    }

    /// Column sums by blocks of rows, each summed in order, the blocks added in order: the same on any thread count.
    func sumColumns(rows: Int, columns: Int, into result: Tensor) {
        let blockRows = Swift.max(16, elementwiseGrain / Swift.max(columns, 1))
        let blocks = (rows + blockRows - 1) / blockRows
        guard blocks > 1 else {
            return ck_sum_columns(dtype.kernelType, Int64(rows), Int64(columns), pointer, result.freshPointer)
        }
        let partial = Tensor(uninitialized: [blocks, columns], dtype: dtype)
        let size = dtype.byteCount
        Parallel.forRanges(rows, grain: blockRows) { range in
            ck_sum_columns(
                dtype.kernelType, Int64(range.count), Int64(columns), pointer + range.lowerBound * columns * size,
                partial.freshPointer + range.lowerBound / blockRows * columns * size)
        }
        ck_sum_columns(dtype.kernelType, Int64(blocks), Int64(columns), partial.pointer, result.freshPointer)
    }

    /// The largest elements along a dimension.
    ///
    /// The gradient goes to the first of equal ones.
    public func max(along dimension: Int, keepingDimensions: Bool = false) -> Tensor {
        extreme("max", CK_MAX, dimension, keepingDimensions)
    }

    /// The smallest elements along a dimension.
    ///
    /// The gradient goes to the first of equal ones.
    public func min(along dimension: Int, keepingDimensions: Bool = false) -> Tensor {
        extreme("min", CK_MIN, dimension, keepingDimensions)
    }

    /// The largest element, as a scalar tensor.
    public func max() -> Tensor { reshaped(to: [-1]).max(along: 0) }

    /// The smallest element, as a scalar tensor.
    public func min() -> Tensor { reshaped(to: [-1]).min(along: 0) }

    private func extreme(
        _ name: StaticString, _ operation: ck_reduce_op, _ dimension: Int, _ keepingDimensions: Bool
    ) -> Tensor {
        let d = shape.normalized(dimension, name)
        require(dtype != .uint8 && shape[d] > 0, name, "\(dtype) \(shape) along \(dimension)")
        if dtype == .bfloat16 { return inFloat32 { $0.extreme(name, operation, d, keepingDimensions) } }
        let last = detached.transposed(d, -1).contiguous()
        let rows = last.elementCount / shape[d], columns = shape[d]
        var kept = last.shape
        kept[-1] = 1
        let value = Tensor(uninitialized: kept, dtype: dtype)
        ck_reduce_rows(operation, dtype.kernelType, Int64(rows), Int64(columns), last.pointer, value.freshPointer)
        let result = value.transposed(d, -1).recorded(name, self) { gradient in
            let places = last.argument(minimum: operation == CK_MIN, rows: rows, columns: columns)
            let one = Tensor.oneHot(places, classes: columns, dtype: gradient.dtype).reshaped(to: last.shape)
            return [(one * gradient.transposed(d, -1)).transposed(d, -1)]
        }
        return keepingDimensions ? result : result.squeezed(d)
    }

    private func argument(minimum: Bool, rows: Int, columns: Int) -> Tensor {
        let places = Tensor(uninitialized: [rows], dtype: .int64)
        ck_arg_rows(
            dtype.kernelType, minimum ? 1 : 0, Int64(rows), Int64(columns), pointer,
            places.freshPointer.assumingMemoryBound(to: Int64.self))
        return places
    }

    /// The index of the first largest element along a dimension, as `int64`.
    public func argmax(along dimension: Int = -1) -> Tensor { argument("argmax", minimum: false, dimension) }

    /// The index of the first smallest element along a dimension, as `int64`.
    public func argmin(along dimension: Int = -1) -> Tensor { argument("argmin", minimum: true, dimension) }

    private func argument(_ name: StaticString, minimum: Bool, _ dimension: Int) -> Tensor {
        let d = shape.normalized(dimension, name)
        require(dtype != .uint8 && shape[d] > 0, name, "\(dtype) \(shape) along \(dimension)")
        let last = detached.widened().transposed(d, -1).contiguous()
        let places = last.argument(minimum: minimum, rows: last.elementCount / shape[d], columns: shape[d])
        var kept = last.shape
        kept[-1] = 1
        return places.reshaped(to: kept).transposed(d, -1).squeezed(d)
    }

    /// Whether every element is finite.
    public var isFinite: Bool {
        guard dtype.isFloatingPoint else { return true }
        let x = detached.widened().contiguous()
        return ck_all_finite(x.dtype.kernelType, Int64(elementCount), x.pointer) != 0
    }
}

extension Shape {
    func without(_ dimensions: Set<Int>) -> Shape {
        var result: Shape = []
        for i in 0..<count where !dimensions.contains(i) { result.append(self[i]) }
        return result
    }
}
