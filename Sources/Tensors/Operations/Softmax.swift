import CKernels

extension Tensor {
    /// Softmax along a dimension: eˣ / Σ eˣ.
    public func softmax(along dimension: Int = -1) -> Tensor {
        normalizedExponential("softmax", logarithm: false, dimension)
    }

    /// The logarithm of softmax along a dimension, without overflow.
    public func logSoftmax(along dimension: Int = -1) -> Tensor {
        normalizedExponential("logSoftmax", logarithm: true, dimension)
    }

    private func normalizedExponential(_ name: StaticString, logarithm: Bool, _ dimension: Int) -> Tensor {
        let d = shape.normalized(dimension, name)
        require(dtype.isFloatingPoint && shape[d] > 0, name, "\(dtype) \(shape) along \(dimension)")
        if d != rank - 1 {
            return transposed(d, -1).normalizedExponential(name, logarithm: logarithm, -1).transposed(d, -1)
        }
        if dtype == .bfloat16 { return inFloat32 { $0.normalizedExponential(name, logarithm: logarithm, d) } }
        let columns = shape[d]
        let x = detached.contiguous()
        let y = Tensor(uninitialized: shape, dtype: dtype)
        x.inRows(of: columns) { rows, start in
            ck_softmax_rows(
                dtype.kernelType, logarithm ? 1 : 0, rows, Int64(columns), x.pointer + start, y.freshPointer + start)
        }
        return y.recorded(name, self) { gradient in
            let g = gradient.contiguous()
            let gx = Tensor(uninitialized: y.shape, dtype: y.dtype)
            y.inRows(of: columns) { rows, start in
                ck_softmax_rows_gradient(
                    y.dtype.kernelType, logarithm ? 1 : 0, rows, Int64(columns), y.pointer + start, g.pointer + start,
                    gx.freshPointer + start)
            }
            return [gx]
        }
    }

    /// Calls `body(rowCount, startInBytes)` for blocks of rows, on all threads.
    func inRows(of columns: Int, _ body: (Int64, Int) -> Void) {
        let rows = columns == 0 ? 0 : elementCount / columns
        let size = dtype.byteCount
        Parallel.forRanges(rows, grain: Swift.max(1, elementwiseGrain / 4 / Swift.max(columns, 1))) { range in
            body(Int64(range.count), range.lowerBound * columns * size)
        }
    }
}
