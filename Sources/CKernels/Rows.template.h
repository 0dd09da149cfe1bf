// Row kernels for element type T with names N(name). Included once per type. See Note [Lanes].

/// Calls out an expression of `i` over 0 … n − 1 summed in lanes.
#define CK_LANE_SUM(result, n, expression)                                                   \
    {                                                                                        \
        T lane[CK_LANES] = {0};                                                              \
        int64_t base = 0;                                                                    \
        for (; base + CK_LANES <= (n); base += CK_LANES)                                     \
            for (int j = 0; j < CK_LANES; j++) { const int64_t i = base + j; lane[j] += (expression); } \
        for (int j = 0; base + j < (n); j++) { const int64_t i = base + j; lane[j] += (expression); }   \
        for (int w = CK_LANES / 2; w > 0; w /= 2)                                            \
            for (int j = 0; j < w; j++) lane[j] += lane[j + w];                              \
        result = lane[0];                                                                    \
    }

// A row's end that does not fill a vector is done as one vector with idle lanes: ten scalar exponentials are slow, and ten
// classes common. In a row of at least CK_LANES columns it is the last CK_LANES columns, whose first lanes have had their
// turn; a shorter row is copied.

/// The largest element, x[0] if that is NaN; other NaNs are left for the caller's arithmetic to find.
CK_INLINE T N(peak)(int64_t n, const T *x) {
    N(lanes) best = x[0], v = x[0];
    if (n < CK_LANES) {
        memcpy(&v, x, (size_t)n * sizeof(T));
        best = v > best ? v : best;
    } else {
        for (int64_t i = 0; i + CK_LANES <= n; i += CK_LANES) {
            memcpy(&v, x + i, sizeof v);
            best = v > best ? v : best;
        }
        memcpy(&v, x + n - CK_LANES, sizeof v);
        best = v > best ? v : best;
    }
    const N(lanes8) eight = best.lo > best.hi ? best.lo : best.hi;
    const N(lanes4) four = eight.lo > eight.hi ? eight.lo : eight.hi;
    const N(lanes2) two = four.lo > four.hi ? four.lo : four.hi;
    return two.lo > two.hi ? two.lo : two.hi;
}

/// The sum of exp(scale · (x − peak)), by lanes; the exponentials are stored in `y` unless it is null, also in place.
CK_INLINE T N(exponential_sum)(int64_t n, T scale, T peak, const T *x, T *y) {
    const N(lanes) number = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, zero = (T)0;
    N(lanes) sum = zero, v;
    int64_t i = 0;
    for (; i + CK_LANES <= n; i += CK_LANES) {
        memcpy(&v, x + i, sizeof v);
        v = scale * (v - peak);
        N(exp_lanes)(&v);
        sum += v;
        if (y) memcpy(y + i, &v, sizeof v);
    }
    if (n < CK_LANES) {
        v = peak;
        memcpy(&v, x, (size_t)n * sizeof(T));
        v = scale * (v - peak);
        N(exp_lanes)(&v);
        sum = number < (T)n ? v : zero;
        if (y) memcpy(y, &v, (size_t)n * sizeof(T));
    } else if (i < n) {
        N(lanes) done = zero;
        if (y) memcpy(&done, y + n - CK_LANES, sizeof done);
        memcpy(&v, x + n - CK_LANES, sizeof v);
        v = scale * (v - peak);
        N(exp_lanes)(&v);
        const T first = (T)(CK_LANES - (n - i));
        sum += number < first ? zero : v;
        done = number < first ? done : v;
        if (y) memcpy(y + n - CK_LANES, &done, sizeof done);
    }
    const N(lanes8) eight = sum.lo + sum.hi;
    const N(lanes4) four = eight.lo + eight.hi;
    const N(lanes2) two = four.lo + four.hi;
    return two.lo + two.hi;
}

CK_INLINE void N(softmax_row)(int64_t n, T scale, const T *x, T *y) {
    const T inverse = (T)1 / N(exponential_sum)(n, scale, N(peak)(n, x), x, y);
    for (int64_t i = 0; i < n; i++) y[i] *= inverse;
}

CK_CLONES static void N(softmax_rows)(int32_t logarithm, int64_t rows, int64_t columns, const T *x, T *y) {
    for (int64_t r = 0; r < rows; r++, x += columns, y += columns) {
        if (!logarithm) {
            N(softmax_row)(columns, (T)1, x, y);
            continue;
        }
        const T peak = N(peak)(columns, x);
        const T sum = N(exponential_sum)(columns, (T)1, peak, x, NULL);
        // Not x − (peak + log sum): large logits would swallow the logarithm.
        const T logarithm_of_sum = N(log)(sum);
        CK_INDEPENDENT
        for (int64_t i = 0; i < columns; i++) y[i] = (x[i] - peak) - logarithm_of_sum;
    }
}

CK_CLONES static void N(softmax_rows_gradient)(int32_t logarithm, int64_t rows, int64_t columns, const T *y, const T *g,
                                               T *gx) {
    for (int64_t r = 0; r < rows; r++, y += columns, g += columns, gx += columns) {
        T sum;
        if (logarithm) {
            CK_LANE_SUM(sum, columns, g[i])
            N(CK_INDEPENDENT)
            for (int64_t i = 0; i < columns; i++) gx[i] = g[i] - N(exp)(y[i]) * sum;
        } else {
            CK_LANE_SUM(sum, columns, g[i] * y[i])
            CK_INDEPENDENT
            for (int64_t i = 0; i < columns; i++) gx[i] = y[i] * (g[i] - sum);
        }
    }
}

CK_CLONES static void N(softmax_causal)(int64_t rows, int64_t columns, int64_t offset, T scale, const T *x, T *y) {
    for (int64_t r = 0; r < rows; r++, x += columns, y += columns) {
        int64_t visible = r + offset + 1;
        if (visible > columns) visible = columns;
        N(softmax_row)(visible, scale, x, y);
        for (int64_t i = visible; i < columns; i++) y[i] = 0;
    }
}

// The peak and the logarithm of the sum are kept apart: in one number, large peaks would swallow the logarithm.
CK_CLONES static void N(cross_entropy)(int64_t rows, int64_t columns, const T *x, const int64_t *labels, int64_t ignored,
                                       T smoothing, T *peaks, T *log_sums, T *loss) {
    for (int64_t r = 0; r < rows; r++, x += columns) {
        const T peak = N(peak)(columns, x);
        const T log_sum = N(log)(N(exponential_sum)(columns, (T)1, peak, x, NULL));
        peaks[r] = peak;
        log_sums[r] = log_sum;
        if (labels[r] == ignored) {
            loss[r] = 0;
            continue;
        }
        T value = ((T)1 - smoothing) * (log_sum - (x[labels[r]] - peak));
        if (smoothing > 0) {
            T all;
            CK_LANE_SUM(all, columns, x[i] - peak)
            value += smoothing * (log_sum - all / (T)columns);
        }
        loss[r] = value;
    }
}

CK_CLONES static void N(cross_entropy_gradient)(int64_t rows, int64_t columns, const T *x, const T *peaks,
                                                const T *log_sums, const int64_t *labels, int64_t ignored, T smoothing,
                                                T scale, T *gx) {
    const T even = smoothing / (T)columns;
    for (int64_t r = 0; r < rows; r++, x += columns, gx += columns) {
        if (labels[r] == ignored) {
            for (int64_t i = 0; i < columns; i++) gx[i] = 0;
            continue;
        }
        const T peak = peaks[r], log_sum = log_sums[r];
        N(CK_INDEPENDENT)
        for (int64_t i = 0; i < columns; i++) gx[i] = scale * (N(exp)((x[i] - peak) - log_sum) - even);
        gx[labels[r]] -= scale * ((T)1 - smoothing);
    }
}

CK_CLONES static void N(layer_norm)(int64_t rows, int64_t columns, double epsilon, const T *x, const T *weight,
                                    const T *bias, T *y, T *mean, T *inverse_deviation) {
    for (int64_t r = 0; r < rows; r++, x += columns, y += columns) {
        T sum, squares;
        CK_LANE_SUM(sum, columns, x[i])
        const T m = sum / (T)columns;
        CK_LANE_SUM(squares, columns, (x[i] - m) * (x[i] - m))
        const T s = (T)1 / N(sqrt)(squares / (T)columns + (T)epsilon);
        mean[r] = m;
        inverse_deviation[r] = s;
        if (weight && bias)
            for (int64_t i = 0; i < columns; i++) y[i] = (x[i] - m) * s * weight[i] + bias[i];
        else if (weight)
            for (int64_t i = 0; i < columns; i++) y[i] = (x[i] - m) * s * weight[i];
        else
            for (int64_t i = 0; i < columns; i++) y[i] = (x[i] - m) * s;
    }
}

CK_CLONES static void N(layer_norm_gradient)(int64_t rows, int64_t columns, const T *x, const T *weight, const T *mean,
                                             const T *inverse_deviation, const T *g, T *gx, T *gw, T *gb) {
    if (gw) for (int64_t i = 0; i < columns; i++) gw[i] = 0;
    if (gb) for (int64_t i = 0; i < columns; i++) gb[i] = 0;
    for (int64_t r = 0; r < rows; r++, x += columns, g += columns, gx += columns) {
        const T m = mean[r], s = inverse_deviation[r];
        T sum, product;
        if (weight) {
            CK_LANE_SUM(sum, columns, g[i] * weight[i])
            CK_LANE_SUM(product, columns, g[i] * weight[i] * (x[i] - m))
        } else {
            CK_LANE_SUM(sum, columns, g[i])
            CK_LANE_SUM(product, columns, g[i] * (x[i] - m))
        }
        const T a = sum / (T)columns, b = product * s * s / (T)columns;
        if (weight)
            for (int64_t i = 0; i < columns; i++) gx[i] = s * (g[i] * weight[i] - a - (x[i] - m) * b);
        else
            for (int64_t i = 0; i < columns; i++) gx[i] = s * (g[i] - a - (x[i] - m) * b);
        if (gw) for (int64_t i = 0; i < columns; i++) gw[i] += g[i] * (x[i] - m) * s;
        if (gb) for (int64_t i = 0; i < columns; i++) gb[i] += g[i];
    }
}
#undef CK_LANE_SUM
