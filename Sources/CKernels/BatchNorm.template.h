// Channel kernels for element type T with names N(name). Included once per type.

CK_CLONES static void N(channel_moments)(int64_t batch, int64_t channels, int64_t inner, int64_t c, const T *x,
                                         double *mean, double *variance) {
    double sum = 0, squares = 0;
    const double count = (double)batch * (double)inner;
    for (int64_t b = 0; b < batch; b++) {
        const T *plane = x + (b * channels + c) * inner;
        double lane[CK_LANES] = {0};
        int64_t i = 0;
        for (; i + CK_LANES <= inner; i += CK_LANES)
            for (int j = 0; j < CK_LANES; j++) lane[j] += (double)plane[i + j];
        for (int j = 0; i + j < inner; j++) lane[j] += (double)plane[i + j];
        for (int j = 0; j < CK_LANES; j++) sum += lane[j];
    }
    const double m = sum / count;
    for (int64_t b = 0; b < batch; b++) {
        const T *plane = x + (b * channels + c) * inner;
        double lane[CK_LANES] = {0};
        int64_t i = 0;
        for (; i + CK_LANES <= inner; i += CK_LANES)
            for (int j = 0; j < CK_LANES; j++) lane[j] += ((double)plane[i + j] - m) * ((double)plane[i + j] - m);
        for (int j = 0; i + j < inner; j++) lane[j] += ((double)plane[i + j] - m) * ((double)plane[i + j] - m);
        for (int j = 0; j < CK_LANES; j++) squares += lane[j];
    }
    *mean = m;
    *variance = squares / count;
}

CK_CLONES static void N(channel_affine)(int64_t batch, int64_t channels, int64_t inner, int64_t c, const T *x, T mean,
                                        T scale, T shift, T *y) {
    for (int64_t b = 0; b < batch; b++) {
        const T *restrict from = x + (b * channels + c) * inner;
        T *restrict to = y + (b * channels + c) * inner;
        for (int64_t i = 0; i < inner; i++) to[i] = (from[i] - mean) * scale + shift;
    }
}

CK_CLONES static void N(channel_gradient_sums)(int64_t batch, int64_t channels, int64_t inner, int64_t c, const T *x,
                                               T mean, const T *g, double *sum_g, double *sum_gx) {
    double total = 0, product = 0;
    for (int64_t b = 0; b < batch; b++) {
        const T *restrict xs = x + (b * channels + c) * inner;
        const T *restrict gs = g + (b * channels + c) * inner;
        double lane[CK_LANES] = {0}, cross[CK_LANES] = {0};
        int64_t i = 0;
        for (; i + CK_LANES <= inner; i += CK_LANES)
            for (int j = 0; j < CK_LANES; j++) {
                lane[j] += (double)gs[i + j];
                cross[j] += (double)gs[i + j] * (double)(xs[i + j] - mean);
            }
        for (int j = 0; i + j < inner; j++) {
            lane[j] += (double)gs[i + j];
            cross[j] += (double)gs[i + j] * (double)(xs[i + j] - mean);
        }
        for (int j = 0; j < CK_LANES; j++) {
            total += lane[j];
            product += cross[j];
        }
    }
    *sum_g = total;
    *sum_gx = product;
}

CK_CLONES static void N(channel_gradient)(int64_t batch, int64_t channels, int64_t inner, int64_t c, const T *x, T mean,
                                          const T *g, T a, T b, T d, T *gx) {
    for (int64_t n = 0; n < batch; n++) {
        const T *restrict xs = x + (n * channels + c) * inner;
        const T *restrict gs = g + (n * channels + c) * inner;
        T *restrict to = gx + (n * channels + c) * inner;
        for (int64_t i = 0; i < inner; i++) to[i] = a * gs[i] + b * (xs[i] - mean) + d;
    }
}
