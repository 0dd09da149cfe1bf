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
    if query.dtype == .bfloat16 {
        return withProductPrecision(.bfloat16) {
            query.inFloat32 {
                scaledDotProductAttention(
                    query: $0, key: key.widened(), value: value.widened(), isCausal: isCausal)
            }
        }
    }
    let q = query.detached.denseInLast(), k = key.detached.denseInLast(), v = value.detached.denseInLast()
    let heads = AttentionHeads(
        dtype: q.dtype, batch: q.shape[0], heads: q.shape[1], queries: q.shape[2], keys: k.shape[2], size: q.shape[3],
        isCausal: isCausal)
    let result = heads.makeHeadMajor(heads.queries)
    let weights = Tensor(uninitialized: [heads.batch, heads.heads, heads.queries, heads.keys], dtype: q.dtype)
    heads.forward(q, k, v, weights: weights, into: result)
    return result.recorded("attention", [query, key, value]) { gradient in
        let gq = heads.makeHeadMajor(heads.queries), gk = heads.makeHeadMajor(heads.keys)
        let gv = heads.makeHeadMajor(heads.keys)
        heads.gradients(of: gradient.denseInLast(), q, k, v, weights: weights, into: gq, gk, gv)
        return [gq, gk, gv]
    }
}

/// Self-attention whose queries, keys and values come side by side out of one projection.
///
/// The same as cutting the three parts out and calling ``scaledDotProductAttention(query:key:value:isCausal:)``, but
/// the gradient is written into one tensor instead of being assembled from three.
/// - Parameters:
///   - packed: `[batch, length, 3, heads, size]`: queries, keys, values along the third dimension.
///   - isCausal: Lets position i see positions 0 … i only.
/// - Returns: `[batch, heads, length, size]`.
public func scaledDotProductAttention(packed: Tensor, isCausal: Bool = false) -> Tensor {
    require(
        packed.rank == 5 && packed.shape[2] == 3, "attention",
        "packed operands have shape [batch, length, 3, heads, size], not \(packed.shape)")
    if packed.dtype == .bfloat16 {
        return withProductPrecision(.bfloat16) {
            packed.inFloat32 { scaledDotProductAttention(packed: $0, isCausal: isCausal) }
        }
    }
    let source = packed.detached.denseInLast()
    let parts = source.attentionParts
    let heads = AttentionHeads(
        dtype: source.dtype, batch: source.shape[0], heads: source.shape[3], queries: source.shape[1],
        keys: source.shape[1], size: source.shape[4], isCausal: isCausal)
    let result = heads.makeHeadMajor(heads.queries)
    let weights = Tensor(uninitialized: [heads.batch, heads.heads, heads.queries, heads.keys], dtype: source.dtype)
    heads.forward(parts.q, parts.k, parts.v, weights: weights, into: result)
    return result.recorded("attention", packed) { gradient in
        let all = Tensor(uninitialized: source.shape, dtype: source.dtype)
        let into = all.attentionParts
        heads.gradients(
            of: gradient.denseInLast(), parts.q, parts.k, parts.v, weights: weights, into: into.q, into.k, into.v)
        return [all]
    }
}

extension Tensor {
    /// This tensor, copied only if its last dimension is not dense or its rows overlap (as expanded ones do).
    fileprivate func denseInLast() -> Tensor {
        let isDense = strides[-1] == 1 || shape[-1] == 1
        let isApart = strides[-2] >= shape[-1] || shape[-2] == 1
        return isDense && isApart ? self : contiguous()
    }

    /// Queries, keys and values of a packed `[batch, length, 3, heads, size]`, each `[batch, heads, length, size]`.
    fileprivate var attentionParts: (q: Tensor, k: Tensor, v: Tensor) {
        let parts = (0..<3).map { select($0, along: 2).transposed(1, 2) }
        return (parts[0], parts[1], parts[2])
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
    let precision = ProductPrecision.current

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
            dtype, precision, rows: rows, columns: columns, inner: inner, a, b,
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

    func gradients(
        of g: Tensor, _ q: Tensor, _ k: Tensor, _ v: Tensor, weights: Tensor, into gq: Tensor, _ gk: Tensor,
        _ gv: Tensor
    ) {
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
    }
}
