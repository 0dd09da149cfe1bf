import CKernels

/// Matrix products of operands rounded to bfloat16, with sums in `float32`, by our own kernel.
///
/// Note [Packed once]: both operands are rounded and packed whole, in parallel, and the tiles of the result share them.
/// Packing is where `float32` becomes bfloat16, so rounding costs no pass of its own. Panels and tiles are cut by sizes
/// alone, so the bits do not depend on threads; they do depend on whether the CPU has the instruction.
package enum BFloat16Product {
    /// The largest band of an operand: a part of the second cache.
    private static let bandByteCount = 256 << 10
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
        let cutsRows = rows >= columns
        let cut = Panels(ofB: !cutsRows, lines: cutsRows ? rows : columns, pairs: pairs)
        let whole = Panels(ofB: cutsRows, lines: cutsRows ? columns : rows, pairs: pairs)
        let shared = Storage(byteCount: whole.byteCount)
        whole.pack(dtype, cutsRows ? b : a, inner: inner, into: shared.pointer)
        let bands = 2 * rows * columns * inner < smallProduct ? 1 : cut.bandCount
        let emulates = emulates
        Parallel.forEach(bands) { index in
            let band = cut.band(index, of: bands)
            let packed = Scratch(byteCount: (band.count + cut.width - 1) / cut.width * cut.panelByteCount)
            cut.pack(dtype, cutsRows ? a : b, inner: inner, lines: band, into: packed.pointer)
            let row = cutsRows ? band.lowerBound : 0, column = cutsRows ? 0 : band.lowerBound
            let height = cutsRows ? band.count : rows, width = cutsRows ? columns : band.count
            let target = c + row * leadingDimension + column
            let (first, apart): (UnsafePointer<Float>?, Int) =
                switch start {
                case .zero: (nil, 0)
                case .result: (UnsafePointer(target), leadingDimension)
                case .row(let bias): (bias + column, 0)
                }
            ck_multiply_bf16(
                emulates ? 1 : 0, Int64(height), Int64(width), Int64(inner), cutsRows ? packed.pointer : shared.pointer,
                cutsRows ? shared.pointer : packed.pointer, first, Int64(apart), target, Int64(leadingDimension))
            if isRectified {
                MatrixProduct.rectify(.float32, rows: height, columns: width, target, leadingDimension)
            }
            withExtendedLifetime(packed) {}
        }
        withExtendedLifetime(shared) {}
    }

    /// How the rows of A, or the columns of B, are packed.
    private struct Panels {
        let isOfB: Bool
        /// Rows of A or columns of B.
        let lines: Int
        /// Half of the inner extent.
        let pairs: Int
        /// Lines of a panel.
        var width: Int { Int(isOfB ? CK_PANEL_COLUMNS : CK_PANEL_ROWS) }
        var count: Int { (lines + width - 1) / width }
        var panelByteCount: Int { width * pairs * 4 }
        var byteCount: Int { count * panelByteCount }

        init(ofB isOfB: Bool, lines: Int, pairs: Int) {
            self.isOfB = isOfB
            self.lines = lines
            self.pairs = pairs
        }

        /// Bands that stay in the second cache once they are packed, an even number of them.
        var bandCount: Int {
            let least = Swift.max(16, (byteCount + bandByteCount - 1) / bandByteCount)
            return Swift.min(count, (least + 1) / 2 * 2)
        }

        /// Whole panels, as even as they can be.
        func band(_ index: Int, of bands: Int) -> Range<Int> {
            count * index / bands * width..<Swift.min(lines, count * (index + 1) / bands * width)
        }

        /// Packs all lines, shared between threads; pieces follow memory: some lines, or some of the inner extent of all.
        func pack(_ dtype: DType, _ operand: MatrixOperand, inner: Int, into target: UnsafeMutableRawPointer) {
            let isDense = operand.isTransposed == isOfB
            let unit = isDense ? width : 32
            let grain = (elementwiseGrain / Swift.max(isDense ? inner : lines, 1) + unit - 1) / unit * unit
            Parallel.forRanges(isDense ? lines : inner, grain: Swift.max(unit, grain)) { range in
                let start = range.lowerBound
                ck_pack_bf16(
                    dtype.kernelType, isOfB ? 1 : 0, isDense ? 1 : 0, Int64(isDense ? range.count : lines),
                    Int64(isDense ? inner : range.count), Int64(pairs),
                    operand.pointer + start * operand.leadingDimension * dtype.byteCount,
                    Int64(operand.leadingDimension), target + start * (isDense ? pairs : width / 2) * 4)
            }
        }

        /// Packs some lines, on this thread.
        func pack(
            _ dtype: DType, _ operand: MatrixOperand, inner: Int, lines: Range<Int>,
            into target: UnsafeMutableRawPointer
        ) {
            let isDense = operand.isTransposed == isOfB
            let apart = isDense ? operand.leadingDimension : 1
            ck_pack_bf16(
                dtype.kernelType, isOfB ? 1 : 0, isDense ? 1 : 0, Int64(lines.count), Int64(inner), Int64(pairs),
                operand.pointer + lines.lowerBound * apart * dtype.byteCount, Int64(operand.leadingDimension), target)
        }
    }
}
