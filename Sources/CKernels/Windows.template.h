// Pooling of one image, channels innermost, for element type T with names N(name). Included once per type.

/// The pixel of tap (i, j) of output pixel (oh, ow), or null outside the image.
CK_INLINE T *N(tap)(const ck_window *w, const T *image, int64_t oh, int64_t ow, int64_t i, int64_t j) {
    const int64_t h = oh * w->stride_height - w->padding_height + i * w->dilation_height;
    const int64_t v = ow * w->stride_width - w->padding_width + j * w->dilation_width;
    if (h < 0 || h >= w->height || v < 0 || v >= w->width) return NULL;
    return (T *)image + (h * w->width + v) * w->channels;
}

#define EACH_OUTPUT(w) \
    for (int64_t oh = 0; oh < (w)->out_height; oh++) \
        for (int64_t ow = 0; ow < (w)->out_width; ow++)
#define EACH_TAP(w, image, pixel, number) \
    for (int64_t number = 0; number < (w)->kernel_height * (w)->kernel_width; number++) \
        if ((pixel = N(tap)(w, image, oh, ow, number / (w)->kernel_width, number % (w)->kernel_width)))

CK_CLONES static void N(max_pool)(const ck_window *w, const T *image, T *out, uint16_t *winner) {
    const T *pixel;
    EACH_OUTPUT(w) {
        int starts = 1;
        EACH_TAP(w, image, pixel, number) {
            const T *restrict from = pixel;
            T *restrict best = out;
            uint16_t *restrict place = winner;
            if (starts) {
                memcpy(best, from, (size_t)w->channels * sizeof(T));
                for (int64_t c = 0; c < w->channels; c++) place[c] = (uint16_t)number;
            } else {
                // A NaN wins and stays.
                for (int64_t c = 0; c < w->channels; c++) {
                    const int wins = !(from[c] <= best[c]) && best[c] == best[c];
                    best[c] = wins ? from[c] : best[c];
                    place[c] = wins ? (uint16_t)number : place[c];
                }
            }
            starts = 0;
        }
        if (starts)  // a window wholly in the padding
            for (int64_t c = 0; c < w->channels; c++) out[c] = -(T)INFINITY, winner[c] = 0;
        out += w->channels;
        winner += w->channels;
    }
}

CK_CLONES static void N(max_pool_gradient)(const ck_window *w, const T *g, const uint16_t *winner, T *gx) {
    memset(gx, 0, (size_t)(w->height * w->width * w->channels) * sizeof(T));
    T *pixel;
    EACH_OUTPUT(w) {
        EACH_TAP(w, gx, pixel, number) {
            T *restrict to = pixel;
            for (int64_t c = 0; c < w->channels; c++) to[c] += winner[c] == number ? g[c] : 0;
        }
        g += w->channels;
        winner += w->channels;
    }
}

CK_CLONES static void N(average_pool)(const ck_window *w, const T *image, T *out) {
    const T share = (T)1 / (T)(w->kernel_height * w->kernel_width);
    const T *pixel;
    EACH_OUTPUT(w) {
        memset(out, 0, (size_t)w->channels * sizeof(T));
        EACH_TAP(w, image, pixel, number) {
            const T *restrict from = pixel;
            for (int64_t c = 0; c < w->channels; c++) out[c] += from[c];
        }
        for (int64_t c = 0; c < w->channels; c++) out[c] *= share;
        out += w->channels;
    }
}

CK_CLONES static void N(average_pool_gradient)(const ck_window *w, const T *g, T *gx) {
    const T share = (T)1 / (T)(w->kernel_height * w->kernel_width);
    memset(gx, 0, (size_t)(w->height * w->width * w->channels) * sizeof(T));
    T *pixel;
    EACH_OUTPUT(w) {
        EACH_TAP(w, gx, pixel, number) {
            T *restrict to = pixel;
            for (int64_t c = 0; c < w->channels; c++) to[c] += g[c] * share;
        }
        g += w->channels;
    }
}
#undef EACH_OUTPUT
#undef EACH_TAP
