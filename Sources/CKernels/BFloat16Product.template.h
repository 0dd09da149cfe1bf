// The inner loops of a product of packed bfloat16 operands. Included once per way of multiplying, with names N(name),
// the attributes CK_TARGET and CK_TARGET_INLINE, and CK_DOT(sum, a, b): per lane, sum + a.low · b.low + a.high · b.high.

/// One tile: CK_PANEL_ROWS rows of two vectors of sums, which stay in registers over `pairs` steps of the inner extent.
/// Added to `start`, unless it is null.
CK_TARGET_INLINE void N(tile)(int64_t pairs, const uint32_t *a, const uint32_t *b, const float *start,
                              int64_t start_leading, int64_t rows, int64_t columns, float *c, int64_t leading) {
    lanes_f32 sum[CK_PANEL_ROWS][2] = {0};
    for (int64_t p = 0; p < pairs; p++, a += CK_PANEL_ROWS, b += CK_PANEL_COLUMNS) {
        pair_lanes left, right;
        memcpy(&left, b, sizeof left);
        memcpy(&right, b + CK_LANES, sizeof right);
        _Pragma("clang loop unroll(full)")
        for (int i = 0; i < CK_PANEL_ROWS; i++) {
            const pair_lanes row = a[i];
            sum[i][0] = CK_DOT(sum[i][0], row, left);
            sum[i][1] = CK_DOT(sum[i][1], row, right);
        }
    }
    if (rows >= CK_PANEL_ROWS && columns >= CK_PANEL_COLUMNS) {
        _Pragma("clang loop unroll(full)")
        for (int i = 0; i < CK_PANEL_ROWS; i++) {
            lanes_f32 before[2] = {0};
            if (start) memcpy(before, start + i * start_leading, sizeof before);
            before[0] += sum[i][0];
            before[1] += sum[i][1];
            memcpy(c + i * leading, before, sizeof before);
        }
    } else {
        // At the edge the padding of the panels is left away.
        float edge[CK_PANEL_ROWS][CK_PANEL_COLUMNS];
        memcpy(edge, sum, sizeof edge);
        for (int64_t i = 0; i < rows && i < CK_PANEL_ROWS; i++)
            for (int64_t j = 0; j < columns && j < CK_PANEL_COLUMNS; j++)
                c[i * leading + j] = (start ? start[i * start_leading + j] : 0) + edge[i][j];
    }
}

CK_TARGET static void N(multiply)(int64_t rows, int64_t columns, int64_t inner, const uint32_t *a, const uint32_t *b,
                                  const float *start, int64_t start_leading, float *c, int64_t leading) {
    const int64_t pairs = (inner + 1) / 2;
    // A slice of a panel of b stays in the first cache while the panels of a pass by.
    for (int64_t p = 0; p < pairs || p == 0; p += CK_SLICE) {
        const int64_t count = pairs - p < CK_SLICE ? pairs - p : CK_SLICE;
        if (p > 0) {
            start = c;
            start_leading = leading;
        }
        for (int64_t j = 0; j < columns; j += CK_PANEL_COLUMNS)
            for (int64_t i = 0; i < rows; i += CK_PANEL_ROWS)
                N(tile)(count, a + i * pairs + p * CK_PANEL_ROWS, b + j * pairs + p * CK_PANEL_COLUMNS,
                        start ? start + i * start_leading + j : 0, start_leading, rows - i, columns - j,
                        c + i * leading + j, leading);
    }
}
