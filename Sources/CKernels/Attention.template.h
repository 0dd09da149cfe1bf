// Softmax of attention, block by block, for element type T with names N(name). Included once per type.
//
// Note [Blocks of attention]: the scores of some queries against all keys are never in memory together. A block of them
// becomes exp(scale · (score − peak)) with the largest score so far as the peak; when a later block has a larger one,
// what was summed before is scaled down (Milakov & Gimelshein, "Online normalizer calculation for softmax", 2018). The
// backward pass makes the weights again from the scores, the last peak and the sum (Dao et al., "FlashAttention", 2022).

/// How many of a block's columns a row sees.
CK_INLINE int64_t N(visible)(int64_t row, int64_t offset, int64_t columns) {
    const int64_t end = row + offset + 1;
    return end < 0 ? 0 : end < columns ? end : columns;
}

CK_CLONES static void N(attention_weights)(int64_t rows, int64_t columns, int64_t offset, T scale, int32_t is_first,
                                           T *x, T *peaks, T *sums, int64_t size, T *out, int64_t stride) {
    for (int64_t r = 0; r < rows; r++, x += columns, out += stride) {
        const int64_t visible = N(visible)(r, offset, columns);
        for (int64_t i = visible; i < columns; i++) x[i] = 0;
        if (visible == 0) continue;
        const T here = N(peak)(visible, x), before = peaks[r];
        // Written so that a NaN becomes the peak, and stays.
        const T peak = is_first || !(here <= before) ? here : before;
        const T sum = N(exponential_sum)(visible, scale, peak, x, x);
        peaks[r] = peak;
        if (is_first) {
            sums[r] = sum;
            continue;
        }
        const T correction = N(exp)(scale * (before - peak));
        sums[r] = sums[r] * correction + sum;
        if (correction != 1) for (int64_t i = 0; i < size; i++) out[i] *= correction;
    }
}

CK_CLONES static void N(attention_finish)(int64_t rows, T *sums, int64_t size, T *out, int64_t stride) {
    for (int64_t r = 0; r < rows; r++, out += stride) {
        const T inverse = (T)1 / sums[r];
        sums[r] = inverse;
        for (int64_t i = 0; i < size; i++) out[i] *= inverse;
    }
}

CK_CLONES static void N(attention_dots)(int64_t rows, int64_t size, const T *a, int64_t stride_a, const T *b,
                                        int64_t stride_b, T *out) {
    for (int64_t r = 0; r < rows; r++, a += stride_a, b += stride_b) CK_LANE_SUM(out[r], size, a[i] * b[i])
}

CK_CLONES static void N(attention_gradient)(int64_t rows, int64_t columns, int64_t offset, T scale, const T *peaks,
                                            const T *inverses, const T *dots, T *restrict x, T *restrict g) {
    for (int64_t r = 0; r < rows; r++, x += columns, g += columns) {
        const int64_t visible = N(visible)(r, offset, columns);
        const T peak = peaks[r], inverse = inverses[r], dot = dots[r];
        for (int64_t i = 0; i < visible; i++) {
            const T weight = N(exp)(scale * (x[i] - peak)) * inverse;
            x[i] = weight;
            g[i] = scale * weight * (g[i] - dot);
        }
        for (int64_t i = visible; i < columns; i++) x[i] = g[i] = 0;
    }
}
