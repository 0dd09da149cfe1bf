import COpenBLAS

/// One matrix as BLAS sees it: where it starts, how far apart its rows are, and whether it is stored transposed.
struct MatrixOperand {
    var pointer: UnsafeRawPointer
    var leadingDimension: Int
    var isTransposed: Bool

    /// Rows (or columns) from `start` on.
    func advanced(byRows rows: Int, columns: Int, byteCount: Int) -> MatrixOperand {
        let elements = isTransposed ? columns * leadingDimension + rows : rows * leadingDimension + columns
        return MatrixOperand(
            pointer: pointer + elements * byteCount, leadingDimension: leadingDimension, isTransposed: isTransposed)
    }
}

/// Matrix products through OpenBLAS, shared between our threads.
///
/// Note [Tiles]: OpenBLAS's own threading changes results with the number of threads. So a product is cut into tiles
/// whose shapes depend on its extents alone, and each tile is one single-threaded call: the same bits on any number of
/// threads. Large tiles, since each call packs its operands anew.
enum MatrixProduct {
    /// Products below this many floating-point operations are one call.
    private static let smallProduct = 4_000_000
    private static let tileExtent = 512

    static let library: OpenBLASLibrary = {
        let library = openblas_library().pointee
        if let error = library.error { fail("matrix product", String(cString: error)) }
        return library
    }()

    /// C = A · B + beta · C for row-major C of `rows` × `columns`, with `inner` the extent summed over.
    ///
    /// - Parameter precision: ``ProductPrecision/current``, which an operation reads on its calling thread: the compute
    ///   threads do not know it.
    static func multiply(
        _ dtype: DType, _ precision: ProductPrecision = .float32, rows: Int, columns: Int, inner: Int,
        _ a: MatrixOperand, _ b: MatrixOperand, beta: Double = 0, into c: UnsafeMutableRawPointer, leadingDimension: Int
    ) {
        guard rows > 0, columns > 0 else { return }
        if dtype == .bfloat16 || (dtype == .float32 && precision == .bfloat16) {
            return BFloat16Product.multiply(
                dtype, rows: rows, columns: columns, inner: inner, a, b, adding: beta != 0, into: c,
                leadingDimension: leadingDimension)
        }
        let (tileRows, tileColumns) = tile(rows: rows, columns: columns, inner: inner)
        let down = (rows + tileRows - 1) / tileRows, across = (columns + tileColumns - 1) / tileColumns
        if down * across == 1 {
            return single(dtype, rows, columns, inner, a, b, beta, c, leadingDimension)
        }
        let size = dtype.byteCount
        Parallel.forEach(down * across) { piece in
            let row = piece / across * tileRows, column = piece % across * tileColumns
            single(
                dtype, Swift.min(tileRows, rows - row), Swift.min(tileColumns, columns - column), inner,
                a.advanced(byRows: row, columns: 0, byteCount: size),
                b.advanced(byRows: 0, columns: column, byteCount: size), beta,
                c + (row * leadingDimension + column) * size, leadingDimension)
        }
    }

    /// The tile for a product: the longer side is cut, into at least two parts when the product is worth sharing.
    private static func tile(rows: Int, columns: Int, inner: Int) -> (Int, Int) {
        guard 2 * rows * columns * inner >= smallProduct else { return (rows, columns) }
        let longer = Swift.max(rows, columns)
        let parts = Swift.max(2, (longer + tileExtent - 1) / tileExtent)
        let extent = Swift.max(32, ((longer + parts - 1) / parts + 15) / 16 * 16)
        return rows >= columns ? (extent, columns) : (rows, extent)
    }

    private static func single(
        _ dtype: DType, _ rows: Int, _ columns: Int, _ inner: Int, _ a: MatrixOperand, _ b: MatrixOperand,
        _ beta: Double, _ c: UnsafeMutableRawPointer, _ leadingDimension: Int
    ) {
        let transposeA = a.isTransposed ? CblasTrans : CblasNoTrans
        let transposeB = b.isTransposed ? CblasTrans : CblasNoTrans
        let (m, n, k) = (Int32(rows), Int32(columns), Int32(inner))
        let (lda, ldb, ldc) = (Int32(a.leadingDimension), Int32(b.leadingDimension), Int32(leadingDimension))
        if dtype == .float32 {
            library.sgemm(
                CblasRowMajor, transposeA, transposeB, m, n, k, 1, a.pointer.assumingMemoryBound(to: Float.self), lda,
                b.pointer.assumingMemoryBound(to: Float.self), ldb, Float(beta),
                c.assumingMemoryBound(to: Float.self), ldc)
        } else {
            library.dgemm(
                CblasRowMajor, transposeA, transposeB, m, n, k, 1, a.pointer.assumingMemoryBound(to: Double.self), lda,
                b.pointer.assumingMemoryBound(to: Double.self), ldb, beta, c.assumingMemoryBound(to: Double.self), ldc)
        }
    }
}

extension Tensor {
    /// The last two dimensions as a BLAS operand, copying only when neither of them is dense.
    func matrixOperand() -> (tensor: Tensor, transposed: Bool, leadingDimension: Int) {
        let rows = shape[-2], columns = shape[-1]
        if strides[-1] == 1 || columns == 1, strides[-2] >= Swift.max(1, columns) || rows == 1 {
            return (self, false, Swift.max(1, rows == 1 ? columns : strides[-2]))
        }
        if strides[-2] == 1 || rows == 1, strides[-1] >= Swift.max(1, rows) || columns == 1 {
            return (self, true, Swift.max(1, columns == 1 ? rows : strides[-1]))
        }
        return (contiguous(), false, Swift.max(1, columns))
    }

    /// The matrix product with another tensor: over the last two dimensions, broadcasting the leading ones.
    ///
    /// `[…, m, k] · […, k, n] → […, m, n]`. A vector on either side is a row or column that disappears.
    /// - Precondition: the types agree and are floating point; the inner extents agree.
    public func matmul(_ other: Tensor) -> Tensor {
        if rank == 1 { return expandingDimension(at: 0).matmul(other).squeezed(other.rank == 1 ? 0 : -2) }
        if other.rank == 1 { return matmul(other.expandingDimension(at: 1)).squeezed(-1) }
        require(
            rank >= 2 && other.rank >= 2 && dtype == other.dtype && dtype.isFloatingPoint, "matmul",
            "\(dtype) \(shape) · \(other.dtype) \(other.shape)")
        require(
            shape[-1] == other.shape[-2], "matmul",
            "\(shape) · \(other.shape): inner dimensions \(shape[-1]) and \(other.shape[-2]) differ")
        let (a, b) = (detached, other.detached)
        let (needsA, needsB) = (requiresGradient, other.requiresGradient)
        return Tensor.product(a, b).recorded("matmul", self, other) { gradient in
            [
                needsA ? Tensor.product(gradient, b.transposed()).summed(to: a.shape) : nil,
                needsB ? Tensor.productGradient(of: b.shape, a.transposed(), gradient) : nil,
            ]
        }
    }

    /// Aᵀ · G, summed over broadcast batches; a plain right-hand matrix takes all batches as one long product.
    private static func productGradient(of shape: Shape, _ aTransposed: Tensor, _ gradient: Tensor) -> Tensor {
        if shape.count == 2, gradient.rank > 2 {
            let allRows = gradient.shape.dropLast().reduce(1, *)
            let rows = aTransposed.transposed().reshaped(to: [allRows, shape[0]])
            return product(rows.transposed(), gradient.reshaped(to: [allRows, shape[1]]))
        }
        return product(aTransposed, gradient).summed(to: shape)
    }

    /// The product without gradient.
    static func product(_ a: Tensor, _ b: Tensor) -> Tensor {
        let rows = a.shape[-2], inner = a.shape[-1], columns = b.shape[-1]
        // A batch of row blocks times one matrix is one product.
        if b.rank == 2, a.rank > 2, a.isContiguous {
            var shape = a.shape
            shape[-1] = columns
            let allRows = shape.dropLast().reduce(1, *)
            return product(a.reshaped(to: [allRows, inner]), b).reshaped(to: shape)
        }
        var batchA = a.shape, batchB = b.shape
        for _ in 0..<2 {
            batchA.remove(at: batchA.count - 1)
            batchB.remove(at: batchB.count - 1)
        }
        guard let batch = Shape.broadcast(batchA, batchB) else { fail("matmul", "\(a.shape) · \(b.shape)") }
        var shape = batch
        shape.append(rows)
        shape.append(columns)
        let result = Tensor(uninitialized: shape, dtype: a.dtype)
        let x = a.matrixOperand(), y = b.matrixOperand()
        let size = a.dtype.byteCount
        let plan = PairedPlan(shape: batch, x.tensor.batchStrides(batch), y.tensor.batchStrides(batch))
        let inRun = plan.shape[-1]
        let count = batch.elementCount
        let precision = ProductPrecision.current
        func multiply(_ index: Int) {
            let (startA, startB) = plan.offsets(ofRow: index / inRun)
            let i = index % inRun
            MatrixProduct.multiply(
                a.dtype, precision, rows: rows, columns: columns, inner: inner,
                MatrixOperand(
                    pointer: x.tensor.pointer + (startA + i * plan.a[-1]) * size,
                    leadingDimension: x.leadingDimension, isTransposed: x.transposed),
                MatrixOperand(
                    pointer: y.tensor.pointer + (startB + i * plan.b[-1]) * size,
                    leadingDimension: y.leadingDimension, isTransposed: y.transposed),
                into: result.freshPointer + index * rows * columns * size, leadingDimension: Swift.max(1, columns))
        }
        if count == 1 { multiply(0) } else { Parallel.forEach(count, multiply) }
        return result
    }

    /// Strides of the dimensions before the last two, expanded to a batch shape.
    private func batchStrides(_ batch: Shape) -> Shape {
        var strides = batch
        let extra = batch.count - (rank - 2)
        for i in 0..<batch.count {
            strides[i] = i < extra || (shape[i - extra] == 1 && batch[i] != 1) ? 0 : self.strides[i - extra]
        }
        return strides
    }

    /// The affine map of a linear layer, in one operation: `x · weightᵀ + bias`.
    ///
    /// - Parameters:
    ///   - weight: `[outputs, inputs]`, as PyTorch stores it.
    ///   - bias: `[outputs]`, or nil.
    /// - Returns: `[…, outputs]` for this tensor of shape `[…, inputs]`.
    public func linear(weight: Tensor, bias: Tensor?) -> Tensor {
        require(
            weight.rank == 2 && rank >= 1 && shape[-1] == weight.shape[1] && dtype == weight.dtype
                && dtype.isFloatingPoint, "linear",
            "\(dtype) \(shape) with weight \(weight.dtype) \(weight.shape)")
        if let bias {
            require(
                bias.shape == [weight.shape[0]] && bias.dtype == dtype, "linear",
                "bias \(bias.dtype) \(bias.shape) with weight \(weight.shape)")
        }
        let inputs = weight.shape[1], outputs = weight.shape[0]
        let rows = shape.dropLast().reduce(1, *)
        let x = detached.reshaped(to: [rows, inputs]), w = weight.detached
        let y = Tensor(uninitialized: [rows, outputs], dtype: dtype)
        if let bias {
            // The rows start as the bias; the product adds to them.
            bias.detached.expandedView(to: y.shape).gather(into: y.freshPointer)
        }
        let a = x.matrixOperand(), b = w.transposed().matrixOperand()
        MatrixProduct.multiply(
            dtype, ProductPrecision.current, rows: rows, columns: outputs, inner: inputs,
            MatrixOperand(pointer: a.tensor.pointer, leadingDimension: a.leadingDimension, isTransposed: a.transposed),
            MatrixOperand(pointer: b.tensor.pointer, leadingDimension: b.leadingDimension, isTransposed: b.transposed),
            beta: bias == nil ? 0 : 1, into: y.freshPointer, leadingDimension: outputs)
        var resultShape = shape
        resultShape[-1] = outputs
        let inputShape = shape
        let (needsX, needsW, needsB) = (requiresGradient, weight.requiresGradient, bias?.requiresGradient ?? false)
        let (weightPlace, biasPlace) = (GradientPlace(of: weight), bias.map { GradientPlace(of: $0) })
        let result = y.reshaped(to: resultShape)
        let pullback: GradientNode.Pullback = { gradient in
            let g = gradient.reshaped(to: [rows, outputs])
            let gx = needsX ? Tensor.product(g, w).reshaped(to: inputShape) : nil
            let gw = needsW ? weightPlace.product(g.transposed(), x) : nil
            guard let biasPlace else { return [gx, gw] }
            return [gx, gw, needsB ? biasPlace.columnSums(g) : nil]
        }
        if let bias { return result.recorded("linear", self, weight, bias, pullback: pullback) }
        return result.recorded("linear", self, weight, pullback: pullback)
    }
}

/// The kernel family OpenBLAS runs with, such as `SkylakeX`.
public var blasKernel: String { MatrixProduct.library.kernel.map { String(cString: $0) } ?? "unknown" }
