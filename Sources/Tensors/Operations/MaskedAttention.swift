/// Scaled dot-product attention with any mask, and with dropout of its weights: softmax(Q · Kᵀ / √d + mask) · V.
///
/// All scores are in memory together, and are kept for the backward pass: without mask, or with the causal one,
/// ``scaledDotProductAttention(query:key:value:isCausal:)`` gives the same in less memory.
/// - Parameters:
///   - query: `[batch, heads, queries, size]`.
///   - key: `[batch, heads, keys, size]`.
///   - value: `[batch, heads, keys, size]`.
///   - mask: What is added to the scores, −∞ where a query must not see a key; of a shape that can be broadcast to
///     `[batch, heads, queries, keys]`. A query that sees no key gets no number.
///   - dropout: The share of weights set to 0, the others scaled up.
/// - Returns: `[batch, heads, queries, size]`.
public func scaledDotProductAttention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor?, dropout: Double = 0
) -> Tensor {
    require(
        query.rank == 4 && key.rank == 4 && value.rank == 4 && key.shape[2] == value.shape[2], "attention",
        "query \(query.shape), key \(key.shape), value \(value.shape)")
    let scores = query.matmul(key.transposed()) * (1 / Double(query.shape[3]).squareRoot())
    let masked = mask.map { scores + $0.converted(to: scores.dtype) } ?? scores
    return masked.softmax().droppedOut(dropout).matmul(value)
}
