import CKernels
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

/// Matrix products, shared between our threads: by our own kernel where it is faster, otherwise through OpenBLAS.
///
/// Note [Tiles]: OpenBLAS's own threading changes results with the number of threads. So a product is cut into tiles
/// whose shapes depend on its extents alone, and each tile is one single-threaded call: the same bits on any number of
/// threads. OpenBLAS packs its operands anew in each call, so its tiles are as few as keep threads busy: two, and more
/// when each still has about a millisecond of work. Their number is a power of two, since three tiles leave one of two
/// threads idle for a quarter of the time. Bands of rows are the fastest, unless columns are many more.
enum MatrixProduct {
    /// Products below this many floating-point operations are one call.
    private static let smallProduct = 1_000_000
    /// The floating-point operations of OpenBLAS's tiles, once there are more than two.
    private static let tileWork = 250_000_000

    static let library: OpenBLASLibrary = {
        let library = openblas_library().pointee
        if let error = library.error { fail("matrix product", String(cString: error)) }
        return library
    }()

    /// C = A · B, or C + A · B, for row-major C of `rows` × `columns`, with `inner` the extent summed over.
    ///
    /// - Parameters:
    ///   - precision: ``ProductPrecision/current``, which an operation reads on its calling thread: the compute threads
    ///     do not know it.
    ///   - bias: A row that is added to each row of the product, instead of C.
    ///   - isRectified: Whether negative elements of the result become 0.
    ///   - causal: What need not be multiplied.
    ///   - isShared: Whether threads share the work; false where they share a larger piece of work already.
    static func multiply(
        _ dtype: DType, _ precision: ProductPrecision = .float32, rows: Int, columns: Int, inner: Int,
        _ a: MatrixOperand, _ b: MatrixOperand, beta: Double = 0,
        bias: UnsafeRawPointer? = nil, isRectified: Bool = false, causal: CausalPart = .whole, isShared: Bool = true,
        into c: UnsafeMutableRawPointer, leadingDimension: Int
    ) {
        guard rows > 0, columns > 0 else { return }
        if dtype == .bfloat16 || (dtype == .float32 && precision == .bfloat16) {
            return BFloat16Product.multiply(
                dtype, rows: rows, columns: columns, inner: inner, a, b, adding: beta != 0, bias: bias,
                isRectified: isRectified, into: c, leadingDimension: leadingDimension)
        }
        let isWhole = !isShared || 2 * rows * columns * inner < smallProduct
        if dtype == .float32, PanelProduct.suits(rows: rows, columns: columns, inner: inner) {
            return PanelProduct.multiply(
                rows: rows, columns: columns, inner: inner, a, b, adding: beta != 0, bias: bias,
                isRectified: isRectified, causal: causal, isShared: !isWhole, into: c,
                leadingDimension: leadingDimension)
        }
        let tile = isWhole ? (rows: rows, columns: columns) : tile(rows: rows, columns: columns, inner: inner)
        let down = (rows + tile.rows - 1) / tile.rows, across = (columns + tile.columns - 1) / tile.columns
        let size = dtype.byteCount
        Parallel.forEach(down * across) { piece in
            let row = piece / across * tile.rows, column = piece % across * tile.columns
            let (height, width) = (Swift.min(tile.rows, rows - row), Swift.min(tile.columns, columns - column))
            let (x, y) = (
                a.advanced(byRows: row, columns: 0, byteCount: size),
                b.advanced(byRows: 0, columns: column, byteCount: size)
            )
            let target = c + (row * leadingDimension + column) * size
            if let bias {
                fillRows(height, with: bias + column * size, byteCount: width * size, target, leadingDimension * size)
            }
            single(dtype, height, width, inner, x, y, bias == nil ? beta : 1, target, leadingDimension)
            if isRectified { rectify(dtype, rows: height, columns: width, target, leadingDimension) }
        }
    }

    /// Writes the same row `rows` times, `apart` bytes apart.
    private static func fillRows(
        _ rows: Int, with row: UnsafeRawPointer, byteCount: Int, _ target: UnsafeMutableRawPointer, _ apart: Int
    ) {
        for i in 0..<rows { (target + i * apart).copyMemory(from: row, byteCount: byteCount) }
    }

    /// Negative elements become 0, NaN stays.
    static func rectify(
        _ dtype: DType, rows: Int, columns: Int, _ c: UnsafeMutableRawPointer, _ leadingDimension: Int
    ) {
        for i in 0..<rows {
            let row = c + i * leadingDimension * dtype.byteCount
            ck_clamp(dtype.kernelType, Int64(columns), 0, .infinity, row, row)
        }
    }

    /// OpenBLAS's tile for a product.
    private static func tile(rows: Int, columns: Int, inner: Int) -> (rows: Int, columns: Int) {
        var parts = 2
        while parts * 2 * tileWork <= 2 * rows * columns * inner { parts *= 2 }
        let cutsRows = 2 * rows > columns
        let extent = cutsRows ? rows : columns
        let part = Swift.max(32, ((extent + parts - 1) / parts + 15) / 16 * 16)
        return cutsRows ? (part, columns) : (rows, part)
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
        let result = Tensor.product(a, b)
        OperationCount.add(2 * result.elementCount * a.shape[-1])
        return result.recorded("matmul", self, other) { gradient in
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
}

/// The kernel family OpenBLAS runs with, such as `SkylakeX`.
public var blasKernel: String { MatrixProduct.library.kernel.map { String(cString: $0) } ?? "unknown" }
