import CKernels

extension Tensor {
    /// Rows of this table by index: `[rows, …]` and indices `[…]` give `[…, …]`.
    ///
    /// The lookup of an embedding.
    ///
    /// - Precondition: the indices are `int64` within `0 ..< rows`.
    public func rows(at indices: Tensor) -> Tensor {
        require(rank >= 1 && indices.dtype == .int64, "rows(at:)", "table \(shape), indices \(indices.dtype)")
        let table = detached.contiguous(), index = indices.detached.contiguous()
        let count = shape[0], columns = count == 0 ? 0 : elementCount / count
        index.checkIndices(below: count, "rows(at:)")
        var resultShape = indices.shape
        for d in 1..<Swift.max(rank, 1) { resultShape.append(shape[d]) }
        let result = Tensor(uninitialized: resultShape, dtype: dtype)
        let n = index.elementCount
        ck_take_rows(
            Int64(n), Int64(columns * dtype.byteCount), table.pointer,
            index.pointer.assumingMemoryBound(to: Int64.self), result.freshPointer)
        let place = GradientPlace(of: self)
        return result.recorded("rows(at:)", self) { gradient in
            let g = gradient.contiguous().widened()
            let type = g.dtype.kernelType
            func addRows(_ target: Tensor, _ adds: Bool) {
                if !adds { ck_fill(type, Int64(table.elementCount), 0, target.freshPointer) }
                // In order of position, so that repeated indices add up the same way each time.
                ck_add_rows(
                    type, Int64(n), Int64(columns), g.pointer, index.pointer.assumingMemoryBound(to: Int64.self),
                    target.freshPointer)
            }
            if g.dtype == table.dtype { return [place.make(table.shape, table.dtype, addRows)] }
            let sum = Tensor(uninitialized: table.shape, dtype: g.dtype)
            addRows(sum, false)
            return [sum.converted(to: table.dtype)]
        }
    }

    /// Rows of this table by index, for data: without gradient, and with no tensor made of the indices.
    package func rows(at indices: [Int]) -> Tensor {
        require(rank >= 1, "rows(at:)", "table \(shape)")
        let table = detached.contiguous()
        let count = shape[0], columns = count == 0 ? 0 : elementCount / count
        for index in indices where index < 0 || index >= count {
            fail("rows(at:)", "index \(index) is not in 0 ..< \(count)")
        }
        var resultShape = shape
        resultShape[0] = indices.count
        let result = Tensor(uninitialized: resultShape, dtype: dtype)
        indices.withUnsafeBytes { bytes in
            guard let index = bytes.bindMemory(to: Int64.self).baseAddress else { return }
            let size = columns * dtype.byteCount
            Parallel.forRanges(indices.count, grain: Swift.max(1, Self.copiedBytes / Swift.max(size, 1))) { range in
                ck_take_rows(
                    Int64(range.count), Int64(size), table.pointer, index + range.lowerBound,
                    result.freshPointer + range.lowerBound * size)
            }
        }
        return result
    }

    /// What a thread copies at a time.
    private static let copiedBytes = 64 << 10

    private func checkIndices(below count: Int, _ operation: StaticString) {
        withUnsafeBytes { bytes in
            for index in bytes.bindMemory(to: Int64.self) where index < 0 || index >= Int64(count) {
                fail(operation, "index \(index) is not in 0 ..< \(count)")
            }
        }
    }

    /// For each index a row with 1 at its place and 0 elsewhere: `[…]` gives `[…, classes]`.
    ///
    /// - Precondition: the indices are `int64` within `0 ..< classes`.
    public static func oneHot(_ indices: Tensor, classes: Int, dtype: DType = .standard) -> Tensor {
        require(indices.dtype == .int64, "oneHot", "indices \(indices.dtype) \(indices.shape); they must be int64")
        indices.checkIndices(below: classes, "oneHot")
        let flat = indices.reshaped(to: [indices.elementCount, 1])
        let hot = (flat .== Tensor.range(classes)).converted(to: dtype)
        var shape = indices.shape
        shape.append(classes)
        return hot.reshaped(to: shape)
    }
}
