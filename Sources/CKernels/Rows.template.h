// Row kernels for element type T with names N(name). Included once per type. See Note [Lanes].

CK_CLONES static void N(softmax_rows)(int32_t logarithm, int64_t rows, int64_t columns, const T *x, T *y) {
    for (int64_t r = 0; r < rows; r++, x += columns, y += columns) {
        const T peak = N(peak)(columns, x);
        if (!logarithm) {
            const T inverse = (T)1 / N(exponential_sum)(columns, (T)1, peak, x, y);
            for (int64_t i = 0; i < columns; i++) y[i] *= inverse;
            continue;
        }
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
        T sum = 0, squares;
        if (mean) CK_LANE_SUM(sum, columns, x[i])
        const T m = sum / (T)columns;
        CK_LANE_SUM(squares, columns, (x[i] - m) * (x[i] - m))
        const T s = (T)1 / N(sqrt)(squares / (T)columns + (T)epsilon);
        if (mean) mean[r] = m;
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
        const T m = mean ? mean[r] : 0, s = inverse_deviation[r];
        T sum, product;
        if (weight) {
            CK_LANE_SUM(sum, columns, g[i] * weight[i])
            CK_LANE_SUM(product, columns, g[i] * weight[i] * (x[i] - m))
        } else {
            CK_LANE_SUM(sum, columns, g[i])
            CK_LANE_SUM(product, columns, g[i] * (x[i] - m))
        }
        const T a = mean ? sum / (T)columns : 0, b = product * s * s / (T)columns;
        if (gw) for (int64_t i = 0; i < columns; i++) gw[i] += g[i] * (x[i] - m) * s;
        if (gb) for (int64_t i = 0; i < columns; i++) gb[i] += g[i];
        if (weight) {
            CK_INDEPENDENT
            for (int64_t i = 0; i < columns; i++) gx[i] = s * (g[i] * weight[i] - a - (x[i] - m) * b);
        } else {
            CK_INDEPENDENT
            for (int64_t i = 0; i < columns; i++) gx[i] = s * (g[i] - a - (x[i] - m) * b);
        }
    }
}
