import CKernels

/// The part of a product that a causal mask leaves: in a block of scores, row i sees the columns up to i + `offset`.
///
/// A hint: what is masked may be computed or not in the result, and must be 0 in a left operand.
struct CausalPart {
    let kind: ck_causal
    let offset: Int
    var isOfResult: Bool { kind == CK_CAUSAL_RESULT }

    static let whole = CausalPart(kind: CK_WHOLE, offset: 0)
    /// The result is the block of scores.
    static func result(offset: Int) -> CausalPart { CausalPart(kind: CK_CAUSAL_RESULT, offset: offset) }
    /// The left operand is.
    static func left(offset: Int) -> CausalPart { CausalPart(kind: CK_CAUSAL_A, offset: offset) }
    /// The left operand is, transposed.
    static func leftTransposed(offset: Int) -> CausalPart { CausalPart(kind: CK_CAUSAL_TRANSPOSED_A, offset: offset) }
}

/// Products of `float32` matrices by our own kernel, where it is faster than BLAS.
///
/// See Note [Panel product].
///
/// Note [Balanced pieces]: cores are rarely equally fast: others share their caches, or the host takes them for a moment.
/// So a product is cut into more pieces than there are threads: who is done helps. Each piece reads a band of A's rows and
/// some panels of B; the grid is the one that reads the least in all.
enum PanelProduct {
    private static let isAvailable = ck_has_products() != 0
    private static let panel = Int(CK_PRODUCT_PANEL), tile = Int(CK_PRODUCT_TILE)
    /// Products below this many floating-point operations are BLAS's, whose kernels for them need no packing.
    private static let smallProduct = 500_000
    /// Pieces of a large product, and the floating-point operations of a piece of any other.
    private static let pieces = 16, pieceWork = 4_000_000
    /// Elements of an operand that stay in the second cache, so that reading them again costs nothing.
    private static let cachedElements = 128 << 10

    /// Whether a product is one that the kernel does faster: not short, not thin, and little of its last panel wasted.
    static func suits(rows: Int, columns: Int, inner: Int) -> Bool {
        isAvailable && rows >= panel && inner >= panel && (columns % panel == 0 || columns >= 128)
            && 2 * rows * columns * inner >= smallProduct
    }

    /// How many bands of rows and of columns a product shared between threads is cut into; `isTransposed` is of A.
    private static func grid(rows: Int, columns: Int, inner: Int, isTransposed: Bool) -> (down: Int, across: Int) {
        let tiles = (rows + tile - 1) / tile, panels = (columns + panel - 1) / panel
        let wanted = Swift.min(pieces, Swift.max(2, 2 * rows * columns * inner / pieceWork))
        // A small weight's gradient: each thread makes the rows that it will update and read again.
        if isTransposed, tiles >= wanted, columns * inner <= cachedElements { return (wanted, 1) }
        if rows * inner <= cachedElements, panels >= wanted { return (1, wanted) }
        var best = (down: 1, across: 1), least = Double.infinity
        for across in 1...Swift.min(panels, wanted) {
            let down = Swift.min(tiles, (wanted + across - 1) / across)
            // What is read, times how much longer the longest piece is than the mean.
            let read = Double(rows * across + columns * down)
            let longest = Double((tiles + down - 1) / down * ((panels + across - 1) / across) * down * across)
            let cost = read * longest / Double(tiles * panels)
            if cost < least { (best, least) = ((down, across), cost) }
        }
        return best
    }

    /// C = A · B, added to C, or to a row of biases, and rectified if so told.
    ///
    /// - Parameters:
    ///   - causal: What need not be multiplied.
    ///   - isShared: Whether threads share the work.
    static func multiply(
        rows: Int, columns: Int, inner: Int, _ a: MatrixOperand, _ b: MatrixOperand, adding: Bool,
        bias: UnsafeRawPointer?, isRectified: Bool, causal: CausalPart, isShared: Bool, into c: UnsafeMutableRawPointer,
        leadingDimension: Int
    ) {
        let grid =
            isShared
            ? grid(rows: rows, columns: columns, inner: inner, isTransposed: a.isTransposed) : (down: 1, across: 1)
        // Panels that only one piece reads are packed by it, into a cache of its core.
        let shared = grid.down > 1 ? Storage(byteCount: byteCount(ofColumns: columns, inner: inner)) : nil
        if let shared { pack(b, columns: columns, inner: inner, into: shared.pointer) }
        Parallel.forEach(grid.down * grid.across) { piece in
            let rows = band(piece / grid.across, of: grid.down, extent: rows, unit: tile)
            let columns = band(piece % grid.across, of: grid.across, extent: columns, unit: panel)
            let own = Scratch(byteCount: shared == nil ? byteCount(ofColumns: columns.count, inner: inner) : 0)
            let panels = shared.map { $0.pointer + columns.lowerBound * inner * 4 } ?? own.pointer
            if shared == nil { pack(b, columns: columns, inner: 0..<inner, of: inner, into: panels) }
            let a = a.advanced(byRows: rows.lowerBound, columns: 0, byteCount: 4)
            var product = ck_product(
                rows: Int64(rows.count), columns: Int64(columns.count), inner: Int64(inner),
                a: a.pointer.assumingMemoryBound(to: Float.self),
                panels: UnsafePointer(panels.assumingMemoryBound(to: Float.self)),
                bias: bias.map { ($0 + columns.lowerBound * 4).assumingMemoryBound(to: Float.self) },
                a_leading: Int64(a.leadingDimension), a_transposed: a.isTransposed ? 1 : 0, add: adding ? 1 : 0,
                rectify: isRectified ? 1 : 0,
                c: (c + (rows.lowerBound * leadingDimension + columns.lowerBound) * 4)
                    .assumingMemoryBound(to: Float.self),
                c_leading: Int64(leadingDimension), causal: causal.kind,
                offset: Int64(causal.offset + rows.lowerBound - (causal.isOfResult ? columns.lowerBound : 0)))
            ck_multiply_f32(&product)
            withExtendedLifetime(own) {}
        }
        withExtendedLifetime(shared) {}
    }

    /// Whole units, as evenly as they go into bands.
    static func band(_ index: Int, of bands: Int, extent: Int, unit: Int) -> Range<Int> {
        let units = (extent + unit - 1) / unit
        return units * index / bands * unit..<Swift.min(extent, units * (index + 1) / bands * unit)
    }

    private static func byteCount(ofColumns columns: Int, inner: Int) -> Int {
        (columns + panel - 1) / panel * panel * inner * 4
    }

    /// Packs B, shared between threads; pieces follow memory.
    private static func pack(_ b: MatrixOperand, columns: Int, inner: Int, into target: UnsafeMutableRawPointer) {
        let lines = b.isTransposed ? columns : inner, unit = panel
        let length = b.isTransposed ? inner : columns
        let grain = (elementwiseGrain / Swift.max(1, length) + unit - 1) / unit * unit
        Parallel.forRanges(lines, grain: Swift.max(unit, grain)) { range in
            if b.isTransposed {
                pack(b, columns: range, inner: 0..<inner, of: inner, into: target + range.lowerBound * inner * 4)
            } else {
                pack(b, columns: 0..<columns, inner: range, of: inner, into: target + range.lowerBound * panel * 4)
            }
        }
    }

    /// Packs some columns and some of the inner extent, on this thread.
    private static func pack(
        _ b: MatrixOperand, columns: Range<Int>, inner: Range<Int>, of whole: Int,
        into target: UnsafeMutableRawPointer
    ) {
        let start = b.advanced(byRows: inner.lowerBound, columns: columns.lowerBound, byteCount: 4)
        ck_pack_panels_f32(
            Int64(columns.count), Int64(whole), Int64(inner.count), start.pointer.assumingMemoryBound(to: Float.self),
            Int64(b.leadingDimension), b.isTransposed ? 1 : 0, target.assumingMemoryBound(to: Float.self))
    }
}
