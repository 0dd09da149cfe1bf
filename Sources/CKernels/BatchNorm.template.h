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
                                        const double *scale, const double *shift, int32_t rectify, T *y) {
    EACH_GROUP(first, width) {
        T m[GROUP], s[GROUP], d[GROUP];
        for (int64_t c = 0; c < width; c++)
            m[c] = (T)mean[first + c], s[c] = (T)scale[first + c], d[c] = (T)shift[first + c];
        for (int64_t r = 0; r < rows; r++) {
            const T *restrict from = x + r * channels + first;
            T *restrict to = y + r * channels + first;
            for (int64_t c = 0; c < width; c++) {
                const T v = (from[c] - m[c]) * s[c] + d[c];
                to[c] = !rectify || v > 0 || v != v ? v : (T)0;
            }
        }
    }
}

// A gradient as it comes through the ReLU after the map, if there is one: nothing where the map, made again, is not
// positive.
#define ARRIVED(c) (!rectified || (xs[c] - m[c]) * s[c] + d[c] > 0 ? gs[c] : (T)0)

CK_CLONES static void N(channel_gradient_sums)(int64_t rows, int64_t channels, const T *x, const double *mean,
                                               const double *scale, const double *shift, int32_t rectified, const T *g,
                                               double *sum, double *product) {
    EACH_GROUP(first, width) {
        T m[GROUP], s[GROUP], d[GROUP], total[GROUP] = {0}, cross[GROUP] = {0};
        for (int64_t c = 0; c < width; c++)
            m[c] = (T)mean[first + c], s[c] = (T)scale[first + c], d[c] = (T)shift[first + c];
        for (int64_t r = 0; r < rows; r++) {
            const T *xs = x + r * channels + first, *gs = g + r * channels + first;
            for (int64_t c = 0; c < width; c++) {
                const T v = ARRIVED(c);
                total[c] += v;
                cross[c] += v * (xs[c] - m[c]);
            }
        }
        for (int64_t c = 0; c < width; c++) sum[first + c] = (double)total[c], product[first + c] = (double)cross[c];
    }
}

CK_CLONES static void N(channel_gradient)(int64_t rows, int64_t channels, const T *x, const double *mean,
                                          const double *scale, const double *shift, int32_t rectified, const T *g,
                                          const double *slope, const double *offset, T *gx) {
    EACH_GROUP(first, width) {
        T m[GROUP], s[GROUP], d[GROUP], q[GROUP], o[GROUP];
        for (int64_t c = 0; c < width; c++) {
            m[c] = (T)mean[first + c], s[c] = (T)scale[first + c], d[c] = (T)shift[first + c];
            q[c] = (T)slope[first + c], o[c] = (T)offset[first + c];
        }
        for (int64_t r = 0; r < rows; r++) {
            const T *restrict xs = x + r * channels + first, *gs = g + r * channels + first;
            T *to = gx + r * channels + first;
            // What is written may be g itself, but never another element of it.
            CK_INDEPENDENT
            for (int64_t c = 0; c < width; c++) to[c] = s[c] * ARRIVED(c) + q[c] * (xs[c] - m[c]) + o[c];
        }
    }
}
#undef ARRIVED
#undef GROUP
#undef EACH_GROUP
