import CKernels

/// Scaled dot-product attention: softmax(Q · Kᵀ / √d) · V, for each head of each sequence by itself.
///
/// Vaswani et al., "Attention Is All You Need", 2017. The operands may be strided views (heads cut out of one
/// projection): only the last dimension must be dense, and transposes go to BLAS as flags. Each head of each sequence
/// is one thread's work.
/// - Parameters:
///   - query: `[batch, heads, queries, size]`.
///   - key: `[batch, heads, keys, size]`.
///   - value: `[batch, heads, keys, size]`.
///   - isCausal: Lets query i see keys 0 … i + (keys − queries) only.
/// - Returns: `[batch, heads, queries, size]`, laid out so that heads of one position are neighbours.
public func scaledDotProductAttention(query: Tensor, key: Tensor, value: Tensor, isCausal: Bool = false) -> Tensor {
    require(
        query.rank == 4 && key.rank == 4 && value.shape == key.shape && query.dtype == key.dtype
            && value.dtype == key.dtype && query.dtype.isFloatingPoint, "attention",
        "query \(query.dtype) \(query.shape), key \(key.dtype) \(key.shape), value \(value.dtype) \(value.shape)")
    require(
        query.shape[0] == key.shape[0] && query.shape[1] == key.shape[1] && query.shape[3] == key.shape[3],
        "attention", "query \(query.shape), key \(key.shape)")
    require(
        !isCausal || query.shape[2] <= key.shape[2], "attention",
        "causal attention of \(query.shape[2]) queries to \(key.shape[2]) keys")
    let q = query.detached.denseInLast(), k = key.detached.denseInLast(), v = value.detached.denseInLast()
    let heads = AttentionHeads(
        dtype: q.dtype, batch: q.shape[0], heads: q.shape[1], queries: q.shape[2], keys: k.shape[2], size: q.shape[3],
        isCausal: isCausal)
    let result = heads.makeHeadMajor(heads.queries)
    let weights = Tensor(uninitialized: [heads.batch, heads.heads, heads.queries, heads.keys], dtype: q.dtype)
    heads.forward(q, k, v, weights: weights, into: result)
    return result.recorded("attention", [query, key, value]) { gradient in
        let g = gradient.denseInLast()
        return heads.gradients(of: g, q, k, v, weights: weights)
    }
}

extension Tensor {
    /// This tensor, copied only if its last dimension is not dense or its rows overlap (as expanded ones do).
    fileprivate func denseInLast() -> Tensor {
        let isDense = strides[-1] == 1 || shape[-1] == 1
        let isApart = strides[-2] >= shape[-1] || shape[-2] == 1
        return isDense && isApart ? self : contiguous()
    }

    /// One head of one sequence as a matrix operand.
    fileprivate func head(_ b: Int, _ h: Int, transposed: Bool = false) -> MatrixOperand {
        MatrixOperand(
            pointer: pointer + (b * strides[0] + h * strides[1]) * dtype.byteCount,
            leadingDimension: Swift.max(strides[2], shape[3]), isTransposed: transposed)
    }
}

/// The products of attention, one head of one sequence at a time.
private struct AttentionHeads {
    let dtype: DType
    let batch, heads, queries, keys, size: Int
    let isCausal: Bool

    private var scale: Double { 1 / Double(size).squareRoot() }

    /// `[batch, heads, length, size]` whose memory is `[batch, length, heads, size]`: merging the heads copies nothing.
    func makeHeadMajor(_ length: Int) -> Tensor {
        Tensor(uninitialized: [batch, length, heads, size], dtype: dtype).transposed(1, 2)
    }

    private func forEachHead(_ body: (Int, Int) -> Void) {
        Parallel.forEach(batch * heads) { index in body(index / heads, index % heads) }
    }

    private func multiply(
        _ rows: Int, _ columns: Int, _ inner: Int, _ a: MatrixOperand, _ b: MatrixOperand, into c: MatrixOperand
    ) {
        MatrixProduct.multiply(
            dtype, rows: rows, columns: columns, inner: inner, a, b,
            into: UnsafeMutableRawPointer(mutating: c.pointer), leadingDimension: c.leadingDimension)
    }

    func forward(_ q: Tensor, _ k: Tensor, _ v: Tensor, weights: Tensor, into result: Tensor) {
        forEachHead { b, h in
            let p = weights.head(b, h)
            multiply(queries, keys, size, q.head(b, h), k.head(b, h, transposed: true), into: p)
            normalize(UnsafeMutableRawPointer(mutating: p.pointer))
            multiply(queries, size, keys, p, v.head(b, h), into: result.head(b, h))
        }
    }

    /// Softmax of the scaled scores, in place.
    private func normalize(_ scores: UnsafeMutableRawPointer) {
        // Without a mask every query sees all keys: an offset as large as their number says so.
        let offset = isCausal ? keys - queries : keys
        ck_softmax_causal(dtype.kernelType, Int64(queries), Int64(keys), Int64(offset), scale, scores, scores)
    }

    func gradients(of g: Tensor, _ q: Tensor, _ k: Tensor, _ v: Tensor, weights: Tensor) -> [Tensor?] {
        let gq = makeHeadMajor(queries), gk = makeHeadMajor(keys), gv = makeHeadMajor(keys)
        forEachHead { b, h in
            let p = weights.head(b, h)
            let transposedWeights = weights.head(b, h, transposed: true)
            let scores = Tensor(uninitialized: [queries, keys], dtype: dtype)
            let s = MatrixOperand(pointer: scores.pointer, leadingDimension: keys, isTransposed: false)
            var transposedScores = s
            transposedScores.isTransposed = true
            multiply(keys, size, queries, transposedWeights, g.head(b, h), into: gv.head(b, h))
            multiply(queries, keys, size, g.head(b, h), v.head(b, h, transposed: true), into: s)
            ck_softmax_rows_gradient(
                dtype.kernelType, 0, Int64(queries), Int64(keys), p.pointer, scores.pointer, scores.freshPointer)
            ck_affine(
                dtype.kernelType, Int64(queries * keys), scores.pointer, scale, 0, scores.freshPointer)
            multiply(queries, size, keys, s, k.head(b, h), into: gq.head(b, h))
            multiply(keys, size, queries, transposedScores, q.head(b, h), into: gk.head(b, h))
        }
        return [gq, gk, gv]
    }
}
