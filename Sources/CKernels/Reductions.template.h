// Reductions for element type T with names N(name). Included once per type. See Note [Lanes].

/// The fold of the lanes in halves.
CK_INLINE T N(fold)(T *lane) {
    for (int w = CK_LANES / 2; w > 0; w /= 2)
        for (int j = 0; j < w; j++) lane[j] += lane[j + w];
    return lane[0];
}

CK_INLINE double N(row_sum)(int64_t n, const T *restrict x) {
    double total = 0;
    for (int64_t start = 0; start < n; start += CK_BLOCK) {
        const int64_t end = start + CK_BLOCK < n ? start + CK_BLOCK : n;
        T lane[CK_LANES] = {0};
        int64_t i = start;
        for (; i + CK_LANES <= end; i += CK_LANES)
            for (int j = 0; j < CK_LANES; j++) lane[j] += x[i + j];
        for (int j = 0; i + j < end; j++) lane[j] += x[i + j];
        total += N(fold)(lane);
    }
    return total;
}

/// The largest or smallest element, by lanes; a NaN wins, as in PyTorch, and stays: nothing is larger or smaller than it.
#define CK_EXTREME(name, better)                                                                        \
    CK_INLINE T N(name)(int64_t n, const T *restrict x) {                                               \
        T lane[CK_LANES];                                                                               \
        for (int j = 0; j < CK_LANES; j++) lane[j] = x[0];                                              \
        int64_t i = 0;                                                                                  \
        for (; i + CK_LANES <= n; i += CK_LANES)                                                        \
            for (int j = 0; j < CK_LANES; j++) {                                                        \
                const T v = x[i + j];                                                                   \
                lane[j] = ((v better lane[j]) | (v != v)) ? v : lane[j];                                \
            }                                                                                           \
        for (; i < n; i++) lane[0] = ((x[i] better lane[0]) | (x[i] != x[i])) ? x[i] : lane[0];         \
        T best = lane[0];                                                                               \
        for (int j = 1; j < CK_LANES; j++) best = ((lane[j] better best) | (lane[j] != lane[j])) ? lane[j] : best; \
        return best;                                                                                    \
    }
CK_EXTREME(row_max, >)
CK_EXTREME(row_min, <)
#undef CK_EXTREME

CK_CLONES static void N(reduce_rows)(ck_reduce_op op, int64_t rows, int64_t columns, const T *x, T *out) {
    for (int64_t r = 0; r < rows; r++, x += columns)
        out[r] = op == CK_SUM ? (T)N(row_sum)(columns, x) : op == CK_MAX ? N(row_max)(columns, x) : N(row_min)(columns, x);
}

CK_CLONES static void N(sum_columns)(int64_t rows, int64_t columns, const T *restrict x, T *restrict out) {
    for (int64_t c = 0; c < columns; c++) out[c] = 0;
    for (int64_t r = 0; r < rows; r++, x += columns)
        for (int64_t c = 0; c < columns; c++) out[c] += x[c];
}

CK_CLONES static void N(relu_gradient_sums)(int64_t rows, int64_t columns, const T *y, const T *g, T *gx,
                                            T *restrict out) {
    for (int64_t c = 0; c < columns; c++) out[c] = 0;
    for (int64_t r = 0; r < rows; r++, y += columns, g += columns, gx += columns) {
        CK_INDEPENDENT
        for (int64_t c = 0; c < columns; c++) {
            const T v = y[c] > 0 ? g[c] : (T)0;
            gx[c] = v;
            out[c] += v;
        }
    }
}

/// Where the extreme is: first what it is, then its first place. A NaN wins, as in the extremes themselves.
CK_CLONES static void N(arg_rows)(int32_t minimum, int64_t rows, int64_t columns, const T *x, int64_t *out) {
    for (int64_t r = 0; r < rows; r++, x += columns) {
        const T best = minimum ? N(row_min)(columns, x) : N(row_max)(columns, x);
        int64_t c = 0;
        if (best == best) while (x[c] != best) c++;
        else while (x[c] == x[c]) c++;
        out[r] = c;
    }
}

CK_CLONES static double N(square_sum)(int64_t n, const T *restrict x) {
    double lane[CK_LANES] = {0};
    int64_t i = 0;
    for (; i + CK_LANES <= n; i += CK_LANES)
        for (int j = 0; j < CK_LANES; j++) lane[j] += (double)x[i + j] * (double)x[i + j];
    for (int j = 0; i + j < n; j++) lane[j] += (double)x[i + j] * (double)x[i + j];
    for (int w = CK_LANES / 2; w > 0; w /= 2)
        for (int j = 0; j < w; j++) lane[j] += lane[j + w];
    return lane[0];
}

CK_CLONES static int32_t N(all_finite)(int64_t n, const T *restrict x) {
    // x − x is 0 for finite x and NaN otherwise, so the sum tells.
    T lane[CK_LANES] = {0};
    int64_t i = 0;
    for (; i + CK_LANES <= n; i += CK_LANES)
        for (int j = 0; j < CK_LANES; j++) lane[j] += x[i + j] - x[i + j];
    for (int j = 0; i + j < n; j++) lane[j] += x[i + j] - x[i + j];
    return N(fold)(lane) == 0;
}
