import CKernels

/// Matrix products of operands rounded to bfloat16, with sums in `float32`, by our own kernel.
///
/// Note [Packed once]: both operands are rounded and packed whole, in parallel, and the tiles of the result share them.
/// Packing is where `float32` becomes bfloat16, so rounding costs no pass of its own. Panels and tiles are cut by sizes
/// alone, so the bits do not depend on threads; they do depend on whether the CPU has the instruction.
package enum BFloat16Product {
    /// The part of a result that one thread takes: 16 panels of rows, whose slices fill a part of the second cache.
    private static let tileRows = 16 * Int(CK_PANEL_ROWS)
    private static let tileColumns = 8 * Int(CK_PANEL_COLUMNS)
    /// Products below this many floating-point operations are one piece.
    private static let smallProduct = 8_000_000
    /// Whether products keep to instructions that every CPU has; for tests.
    @TaskLocal package static var emulates = false

    /// C = A · B, or C + A · B, for row-major C of `rows` × `columns`; all hold `float32` or all bfloat16.
    ///
    /// `bias` is a row that is added to each row of the product, instead of C; rectified, negative elements become 0.
    static func multiply(
        _ dtype: DType, rows: Int, columns: Int, inner: Int, _ a: MatrixOperand, _ b: MatrixOperand, adding: Bool,
        bias: UnsafeRawPointer?, isRectified: Bool, into c: UnsafeMutableRawPointer, leadingDimension: Int
    ) {
        if dtype == .float32 {
            let c = c.assumingMemoryBound(to: Float.self)
            let start: Start =
                bias.map { .row($0.assumingMemoryBound(to: Float.self)) } ?? (adding ? .result : .zero)
            return multiply(
                dtype, rows: rows, columns: columns, inner: inner, a, b, from: start, isRectified: isRectified, into: c,
                leadingDimension: leadingDimension)
        }
        // Sums stay in single precision to the end, and are rounded once.
        let sums = Tensor(uninitialized: [rows, columns], dtype: .float32)
        let size = columns * sums.dtype.byteCount
        func forEachRow(_ body: (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Void) {
            Parallel.forRanges(rows, grain: Swift.max(1, elementwiseGrain / columns)) { range in
                for row in range { body(sums.freshPointer + row * size, c + row * leadingDimension * dtype.byteCount) }
            }
        }
        if adding || bias != nil {
            forEachRow {
                ck_convert(dtype.kernelType, sums.dtype.kernelType, Int64(columns), bias ?? UnsafeRawPointer($1), $0)
            }
        }
        multiply(
            dtype, rows: rows, columns: columns, inner: inner, a, b, from: adding || bias != nil ? .result : .zero,
            isRectified: isRectified,
            into: sums.freshPointer.assumingMemoryBound(to: Float.self), leadingDimension: columns)
        forEachRow { ck_convert(sums.dtype.kernelType, dtype.kernelType, Int64(columns), $0, $1) }
    }

    /// What the sums begin with.
    private enum Start {
        case zero, result
        case row(UnsafePointer<Float>)
    }

    /// The product of operands of either type, with a result in `float32`.
    private static func multiply(
        _ dtype: DType, rows: Int, columns: Int, inner: Int, _ a: MatrixOperand, _ b: MatrixOperand,
        from start: Start, isRectified: Bool, into c: UnsafeMutablePointer<Float>, leadingDimension: Int
    ) {
        let pairs = (inner + 1) / 2
        let panelRows = Int(CK_PANEL_ROWS), panelColumns = Int(CK_PANEL_COLUMNS)
        let sizeA = (rows + panelRows - 1) / panelRows * panelRows * pairs * 4
        let sizeB = (columns + panelColumns - 1) / panelColumns * panelColumns * pairs * 4
        let packed = Storage(byteCount: sizeA + sizeB)
        let packedA = packed.pointer, packedB = packed.pointer + sizeA
        pack(dtype, ofB: false, lines: rows, inner: inner, a, isDense: !a.isTransposed, into: packedA)
        pack(dtype, ofB: true, lines: columns, inner: inner, b, isDense: b.isTransposed, into: packedB)
        let isSmall = 2 * rows * columns * inner < smallProduct
        let height = isSmall ? rows : tileRows, width = isSmall ? columns : tileColumns
        let down = (rows + height - 1) / height, across = (columns + width - 1) / width
        let emulates = emulates
        Parallel.forEach(down * across) { piece in
            let row = piece / across * height, column = piece % across * width
            let target = c + row * leadingDimension + column
            let (first, apart): (UnsafePointer<Float>?, Int) =
                switch start {
                case .zero: (nil, 0)
                case .result: (UnsafePointer(target), leadingDimension)
                case .row(let bias): (bias + column, 0)
                }
            ck_multiply_bf16(
                emulates ? 1 : 0, Int64(Swift.min(height, rows - row)), Int64(Swift.min(width, columns - column)),
                Int64(inner), packedA + row * pairs * 4, packedB + column * pairs * 4, first, Int64(apart),
                target, Int64(leadingDimension))
            if isRectified {
                MatrixProduct.rectify(
                    .float32, rows: Swift.min(height, rows - row), columns: Swift.min(width, columns - column), target,
                    leadingDimension)
            }
        }
        withExtendedLifetime(packed) {}
    }

    /// Packs the rows of A or the columns of B; `isDense` when each of these lines lies densely in memory.
    ///
    /// Pieces follow memory: some lines, or some of the inner extent of all lines.
    private static func pack(
        _ dtype: DType, ofB: Bool, lines: Int, inner: Int, _ operand: MatrixOperand, isDense: Bool,
        into target: UnsafeMutableRawPointer
    ) {
        let panel = Int(ofB ? CK_PANEL_COLUMNS : CK_PANEL_ROWS), pairs = (inner + 1) / 2
        let unit = isDense ? panel : 32
        let grain = (elementwiseGrain / Swift.max(isDense ? inner : lines, 1) + unit - 1) / unit * unit
        Parallel.forRanges(isDense ? lines : inner, grain: Swift.max(unit, grain)) { range in
            let start = range.lowerBound
            ck_pack_bf16(
                dtype.kernelType, ofB ? 1 : 0, isDense ? 1 : 0, Int64(isDense ? range.count : lines),
                Int64(isDense ? inner : range.count), Int64(pairs),
                operand.pointer + start * operand.leadingDimension * dtype.byteCount, Int64(operand.leadingDimension),
                target + start * (isDense ? pairs : panel / 2) * 4)
        }
    }
}
