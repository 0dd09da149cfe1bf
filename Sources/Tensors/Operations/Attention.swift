import CKernels

/// Scaled dot-product attention: softmax(Q · Kᵀ / √d) · V, for each head of each sequence by itself.
///
/// Vaswani et al., "Attention Is All You Need", 2017. The operands may be strided views (heads cut out of one
/// projection): only the last dimension must be dense, and transposes go to BLAS as flags. The scores of all queries
/// against all keys are never in memory together, nor kept for the backward pass; blocks of them behind the causal mask
/// are not computed.
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
        return query.inFloat32 {
            scaledDotProductAttention(query: $0, key: key.widened(), value: value.widened(), isCausal: isCausal)
        }
    }
    let q = query.detached.denseInLast(), k = key.detached.denseInLast(), v = value.detached.denseInLast()
    let heads = AttentionHeads(
        dtype: q.dtype, batch: q.shape[0], heads: q.shape[1], queries: q.shape[2], keys: k.shape[2], size: q.shape[3],
        isCausal: isCausal)
    let (result, sums) = heads.forward(q, k, v)
    OperationCount.add(4 * q.elementCount * k.shape[2])
    return result.recorded("attention", [query, key, value]) { gradient in
        let gq = heads.makeHeadMajor(heads.queries), gk = heads.makeHeadMajor(heads.keys)
        let gv = heads.makeHeadMajor(heads.keys)
        heads.gradients(of: gradient.denseInLast(), q, k, v, result, sums, into: gq, gk, gv)
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
        return packed.inFloat32 { scaledDotProductAttention(packed: $0, isCausal: isCausal) }
    }
    let source = packed.detached.denseInLast()
    let parts = source.attentionParts
    let heads = AttentionHeads(
        dtype: source.dtype, batch: source.shape[0], heads: source.shape[3], queries: source.shape[1],
        keys: source.shape[1], size: source.shape[4], isCausal: isCausal)
    let (result, sums) = heads.forward(parts.q, parts.k, parts.v)
    OperationCount.add(4 * result.elementCount * source.shape[1])
    return result.recorded("attention", packed) { gradient in
        let all = Tensor(uninitialized: source.shape, dtype: source.dtype)
        let into = all.attentionParts
        heads.gradients(
            of: gradient.denseInLast(), parts.q, parts.k, parts.v, result, sums, into: into.q, into.k, into.v)
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

    /// One head of one sequence, from a position on, as a matrix operand.
    fileprivate func head(_ b: Int, _ h: Int, from row: Int, transposed: Bool = false) -> MatrixOperand {
        MatrixOperand(
            pointer: pointer + (b * strides[0] + h * strides[1] + row * strides[2]) * dtype.byteCount,
            leadingDimension: Swift.max(strides[2], shape[3]), isTransposed: transposed)
    }
}

extension MatrixOperand {
    fileprivate var writable: UnsafeMutableRawPointer { UnsafeMutableRawPointer(mutating: pointer) }

    fileprivate var flipped: MatrixOperand {
        MatrixOperand(pointer: pointer, leadingDimension: leadingDimension, isTransposed: !isTransposed)
    }
}

/// The largest score of each query, and one over the sum of its exponentials: all the backward pass needs of them.
private struct SoftmaxSums {
    let peaks, inverses: Tensor

    /// Where those of a head start, from a query on.
    func pointers(_ head: Int, _ query: Int) -> (peaks: UnsafeMutableRawPointer, inverses: UnsafeMutableRawPointer) {
        let bytes = (head * peaks.shape[1] + query) * peaks.dtype.byteCount
        return (peaks.freshPointer + bytes, inverses.freshPointer + bytes)
    }
}

/// Attention, a block of queries of one head of one sequence at a time.
///
/// See Note [Blocks of attention]. Its products are in the operands' own precision, also where others round to bfloat16:
/// with extents of one head, rounding and packing both operands costs more than the faster instruction saves.
private struct AttentionHeads {
    let dtype: DType
    let batch, heads, queries, keys, size: Int
    let isCausal: Bool

    /// A block of scores stays in the second-level cache.
    private static let queryBlock = 128, keyBlock = 512

    private var scale: Double { 1 / Double(size).squareRoot() }

    /// `[batch, heads, length, size]` whose memory is `[batch, length, heads, size]`: merging the heads copies nothing.
    func makeHeadMajor(_ length: Int) -> Tensor {
        let shape: Shape = [batch, length, heads, size]
        // Without queries or keys nobody writes to it.
        return (queries * keys == 0 ? .zeros(shape, dtype: dtype) : Tensor(uninitialized: shape, dtype: dtype))
            .transposed(1, 2)
    }

    /// The keys that some query of a range sees.
    private func keysSeen(by range: Range<Int>) -> Int { isCausal ? range.upperBound + keys - queries : keys }

    /// How much later than its own index the last column is that the first row of a block sees.
    private func offset(_ query: Int, _ key: Int) -> Int {
        // Without a mask every query sees all keys: an offset as large as their number says so.
        isCausal ? query + keys - queries - key : keys
    }

    /// Room for the scores of any block: of one size, so that the pool has it after the first step.
    private func makeBlock() -> Tensor {
        Tensor(
            uninitialized: [Swift.min(Self.queryBlock, queries), Swift.min(Self.keyBlock, keys)], dtype: dtype)
    }

    private func multiply(
        _ rows: Int, _ columns: Int, _ inner: Int, _ a: MatrixOperand, _ b: MatrixOperand, _ causal: CausalPart,
        adding: Bool = false, into c: MatrixOperand
    ) {
        MatrixProduct.multiply(
            dtype, rows: rows, columns: columns, inner: inner, a, b, beta: adding ? 1 : 0, causal: causal,
            isShared: false, into: c.writable, leadingDimension: c.leadingDimension)
    }

    func forward(_ q: Tensor, _ k: Tensor, _ v: Tensor) -> (result: Tensor, sums: SoftmaxSums) {
        let result = makeHeadMajor(queries)
        let sums = SoftmaxSums(
            peaks: Tensor(uninitialized: [batch * heads, queries], dtype: dtype),
            inverses: Tensor(uninitialized: [batch * heads, queries], dtype: dtype))
        guard keys > 0 else { return (result, sums) }
        let type = dtype.kernelType
        let blocks = (queries + Self.queryBlock - 1) / Self.queryBlock
        Parallel.forEach(batch * heads * blocks) { piece in
            let head = piece / blocks, (b, h) = (head / heads, head % heads)
            let first = piece % blocks * Self.queryBlock
            let range = first..<Swift.min(first + Self.queryBlock, queries)
            let rows = range.count, seen = keysSeen(by: range)
            let (peaks, inverses) = sums.pointers(head, first)
            let out = result.head(b, h, from: first)
            let scores = makeBlock()
            for key in stride(from: 0, to: seen, by: Self.keyBlock) {
                let columns = Swift.min(Self.keyBlock, seen - key), offset = offset(first, key)
                let s = MatrixOperand(pointer: scores.pointer, leadingDimension: columns, isTransposed: false)
                multiply(
                    rows, columns, size, q.head(b, h, from: first), k.head(b, h, from: key, transposed: true),
                    .result(offset: offset), into: s)
                ck_attention_weights(
                    type, Int64(rows), Int64(columns), Int64(offset), scale, key == 0 ? 1 : 0,
                    scores.freshPointer, peaks, inverses, Int64(size), out.writable, Int64(out.leadingDimension))
                multiply(
                    rows, size, columns, s, v.head(b, h, from: key), .left(offset: offset), adding: key > 0, into: out)
            }
            ck_attention_finish(
                type, Int64(rows), inverses, Int64(size), out.writable, Int64(out.leadingDimension))
        }
        return (result, sums)
    }

    /// A head at a time; blocks of queries from the last, which sees all keys, to the first, which may see few.
    func gradients(
        of g: Tensor, _ q: Tensor, _ k: Tensor, _ v: Tensor, _ result: Tensor, _ sums: SoftmaxSums, into gq: Tensor,
        _ gk: Tensor, _ gv: Tensor
    ) {
        guard queries * keys > 0 else { return }
        let lastBlock = (queries - 1) / Self.queryBlock * Self.queryBlock
        Parallel.forEach(batch * heads) { head in
            let (b, h) = (head / heads, head % heads)
            let scores = makeBlock(), slopes = makeBlock()
            let dots = Tensor(uninitialized: [Self.queryBlock], dtype: dtype)
            for first in stride(from: lastBlock, through: 0, by: -Self.queryBlock) {
                let range = first..<Swift.min(first + Self.queryBlock, queries)
                let (out, gOut) = (result.head(b, h, from: first), g.head(b, h, from: first))
                ck_attention_dots(
                    dtype.kernelType, Int64(range.count), Int64(size), out.pointer, Int64(out.leadingDimension),
                    gOut.pointer, Int64(gOut.leadingDimension), dots.freshPointer)
                for key in stride(from: 0, to: keysSeen(by: range), by: Self.keyBlock) {
                    let columns = Swift.min(Self.keyBlock, keysSeen(by: range) - key), rows = range.count
                    let s = MatrixOperand(pointer: scores.pointer, leadingDimension: columns, isTransposed: false)
                    let ds = MatrixOperand(pointer: slopes.pointer, leadingDimension: columns, isTransposed: false)
                    let (qHere, kHere) = (q.head(b, h, from: first), k.head(b, h, from: key))
                    let offset = offset(first, key)
                    multiply(rows, columns, size, qHere, kHere.flipped, .result(offset: offset), into: s)
                    multiply(
                        rows, columns, size, gOut, v.head(b, h, from: key, transposed: true), .result(offset: offset),
                        into: ds)
                    let (peaks, inverses) = sums.pointers(head, first)
                    ck_attention_gradient(
                        dtype.kernelType, Int64(rows), Int64(columns), Int64(offset), scale, peaks, inverses,
                        dots.pointer, s.writable, ds.writable)
                    let isLater = first < lastBlock
                    multiply(
                        columns, size, rows, s.flipped, gOut, .leftTransposed(offset: offset), adding: isLater,
                        into: gv.head(b, h, from: key))
                    multiply(
                        columns, size, rows, ds.flipped, qHere, .leftTransposed(offset: offset), adding: isLater,
                        into: gk.head(b, h, from: key))
                    multiply(
                        rows, size, columns, ds, kHere, .left(offset: offset), adding: key > 0,
                        into: gq.head(b, h, from: first))
                }
            }
        }
    }
}
