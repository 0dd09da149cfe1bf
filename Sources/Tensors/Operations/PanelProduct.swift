import CKernels

/// Products of `float32` matrices by our own kernel, where it is faster than BLAS.
///
/// See Note [Panel product].
///
/// Bands of columns share nothing, so they cost nothing: a product is cut into up to eight, and into bands of rows as
/// well when it is large.
enum PanelProduct {
    private static let isAvailable = ck_has_products() != 0
    private static let panel = 32
    /// Products below this many floating-point operations are BLAS's, whose kernels for them need no packing.
    private static let smallProduct = 500_000
    /// Tiles of more floating-point operations are cut into bands of rows too, each of which packs B again.
    private static let largeTile = 1_000_000_000

    /// Whether a product is one that the kernel does faster: not short, not thin, and little of its last panel wasted.
    static func suits(rows: Int, columns: Int, inner: Int) -> Bool {
        isAvailable && rows >= panel && inner >= panel && (columns % panel == 0 || columns >= 128)
            && 2 * rows * columns * inner >= smallProduct
    }

    /// The tile for a product shared between threads, whose bands of columns are as even as they can be.
    static func tile(rows: Int, columns: Int, inner: Int) -> (rows: Int, columns: Int) {
        let panels = (columns + panel - 1) / panel
        var width = panels, waste = Int.max
        for parts in [8, 6, 4, 2] where parts <= panels {
            let part = (panels + parts - 1) / parts
            if part * parts < waste { (width, waste) = (part, part * parts) }
        }
        var bands = width == panels ? 4 : 1
        while 2 * rows / bands * width * panel * inner > largeTile, rows / bands >= 4 * panel { bands *= 2 }
        return (Swift.max(panel, (rows + bands - 1) / bands), width * panel)
    }

    /// C = A · B, added to C, or to a row of biases, and rectified if so told; on this thread.
    static func multiply(
        rows: Int, columns: Int, inner: Int, _ a: MatrixOperand, _ b: MatrixOperand, adding: Bool,
        bias: UnsafeRawPointer?, isRectified: Bool, into c: UnsafeMutableRawPointer, leadingDimension: Int
    ) {
        let width = Swift.min((columns + panel - 1) / panel * panel, Int(CK_PRODUCT_COLUMNS))
        let depth = Swift.min((inner + 15) / 16 * 16, Int(CK_PRODUCT_INNER))
        let scratch = Scratch(byteCount: width * depth * 4)
        var product = ck_product(
            rows: Int64(rows), columns: Int64(columns), inner: Int64(inner),
            a: a.pointer.assumingMemoryBound(to: Float.self), b: b.pointer.assumingMemoryBound(to: Float.self),
            bias: bias?.assumingMemoryBound(to: Float.self), a_leading: Int64(a.leadingDimension),
            b_leading: Int64(b.leadingDimension), a_transposed: a.isTransposed ? 1 : 0,
            b_transposed: b.isTransposed ? 1 : 0, add: adding ? 1 : 0,
            rectify: isRectified ? 1 : 0, c: c.assumingMemoryBound(to: Float.self), c_leading: Int64(leadingDimension))
        ck_multiply_f32(&product, scratch.pointer.assumingMemoryBound(to: Float.self))
        withExtendedLifetime(scratch) {}
    }
}
