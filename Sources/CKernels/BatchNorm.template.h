// Channel kernels over x[rows, channels] for element type T with names N(name). Included once per type.
//
// Sums run down the rows in T, which is exact enough for the few hundred rows of a block; blocks are combined in double
// precision by the caller.

// Channels taken at a time: their sums and factors stay in registers and the first cache.
#define GROUP 64
#define EACH_GROUP(first, width)                                     \
    for (int64_t first = 0, width; first < channels; first += GROUP) \
        if ((width = channels - first < GROUP ? channels - first : GROUP))

// Distances from the first row: means far from 0 beside small deviations lose nothing.
CK_CLONES static void N(channel_moments)(int64_t rows, int64_t channels, const T *x, double *mean, double *squares) {
    EACH_GROUP(first, width) {
        const T *origin = x + first;
        T sum[GROUP] = {0}, centre[GROUP], square[GROUP] = {0};
        for (int64_t r = 1; r < rows; r++) {
            const T *row = x + r * channels + first;
            for (int64_t c = 0; c < width; c++) sum[c] += row[c] - origin[c];
        }
        for (int64_t c = 0; c < width; c++) centre[c] = sum[c] / (T)rows;
        for (int64_t r = 0; r < rows; r++) {
            const T *row = x + r * channels + first;
            for (int64_t c = 0; c < width; c++) {
                const T distance = row[c] - origin[c] - centre[c];
                square[c] += distance * distance;
            }
        }
        for (int64_t c = 0; c < width; c++) {
            mean[first + c] = (double)origin[c] + (double)centre[c];
            squares[first + c] = (double)square[c];
        }
    }
}

CK_CLONES static void N(channel_affine)(int64_t rows, int64_t channels, const T *x, const double *mean,
                                        const double *scale, const double *shift, T *y) {
    EACH_GROUP(first, width) {
        T m[GROUP], s[GROUP], d[GROUP];
        for (int64_t c = 0; c < width; c++)
            m[c] = (T)mean[first + c], s[c] = (T)scale[first + c], d[c] = (T)shift[first + c];
        for (int64_t r = 0; r < rows; r++) {
            const T *restrict from = x + r * channels + first;
            T *restrict to = y + r * channels + first;
            for (int64_t c = 0; c < width; c++) to[c] = (from[c] - m[c]) * s[c] + d[c];
        }
    }
}

CK_CLONES static void N(channel_gradient_sums)(int64_t rows, int64_t channels, const T *x, const double *mean, const T *g,
                                               double *sum, double *product) {
    EACH_GROUP(first, width) {
        T m[GROUP], total[GROUP] = {0}, cross[GROUP] = {0};
        for (int64_t c = 0; c < width; c++) m[c] = (T)mean[first + c];
        for (int64_t r = 0; r < rows; r++) {
            const T *xs = x + r * channels + first, *gs = g + r * channels + first;
            for (int64_t c = 0; c < width; c++) {
                total[c] += gs[c];
                cross[c] += gs[c] * (xs[c] - m[c]);
            }
        }
        for (int64_t c = 0; c < width; c++) sum[first + c] = (double)total[c], product[first + c] = (double)cross[c];
    }
}

CK_CLONES static void N(channel_gradient)(int64_t rows, int64_t channels, const T *x, const double *mean, const T *g,
                                          const double *a, const double *b, const double *d, T *gx) {
    EACH_GROUP(first, width) {
        T m[GROUP], p[GROUP], q[GROUP], s[GROUP];
        for (int64_t c = 0; c < width; c++)
            m[c] = (T)mean[first + c], p[c] = (T)a[first + c], q[c] = (T)b[first + c], s[c] = (T)d[first + c];
        for (int64_t r = 0; r < rows; r++) {
            const T *restrict xs = x + r * channels + first, *gs = g + r * channels + first;
            T *to = gx + r * channels + first;
            for (int64_t c = 0; c < width; c++) to[c] = p[c] * gs[c] + q[c] * (xs[c] - m[c]) + s[c];
        }
    }
}
#undef GROUP
#undef EACH_GROUP
