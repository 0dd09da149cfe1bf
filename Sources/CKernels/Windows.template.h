// Window kernels for element type T with names N(name). Included once per type.

/// The range of output columns whose input column ow·stride + shift lies inside 0 … width − 1.
CK_INLINE void N(inside)(int64_t width, int64_t out_width, int64_t stride, int64_t shift, int64_t *low, int64_t *high) {
    int64_t l = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    int64_t h = width - 1 - shift < 0 ? 0 : (width - 1 - shift) / stride + 1;
    if (h > out_width) h = out_width;
    if (l > h) l = h;
    *low = l;
    *high = h;
}

CK_CLONES static void N(image_to_columns)(const ck_window *w, const T *restrict image, T *restrict columns) {
    for (int64_t c = 0; c < w->channels; c++)
        for (int64_t kh = 0; kh < w->kernel_height; kh++)
            for (int64_t kw = 0; kw < w->kernel_width; kw++) {
                const int64_t shift = kw * w->dilation_width - w->padding_width;
                int64_t low, high;
                N(inside)(w->width, w->out_width, w->stride_width, shift, &low, &high);
                for (int64_t oh = 0; oh < w->out_height; oh++, columns += w->out_width) {
                    const int64_t ih = oh * w->stride_height - w->padding_height + kh * w->dilation_height;
                    if (ih < 0 || ih >= w->height) {
                        memset(columns, 0, (size_t)w->out_width * sizeof(T));
                        continue;
                    }
                    const T *row = image + (c * w->height + ih) * w->width + shift;
                    for (int64_t ow = 0; ow < low; ow++) columns[ow] = 0;
                    if (w->stride_width == 1) memcpy(columns + low, row + low, (size_t)(high - low) * sizeof(T));
                    else for (int64_t ow = low; ow < high; ow++) columns[ow] = row[ow * w->stride_width];
                    for (int64_t ow = high; ow < w->out_width; ow++) columns[ow] = 0;
                }
            }
}

CK_CLONES static void N(columns_to_image)(const ck_window *w, const T *restrict columns, T *restrict image) {
    for (int64_t c = 0; c < w->channels; c++)
        for (int64_t kh = 0; kh < w->kernel_height; kh++)
            for (int64_t kw = 0; kw < w->kernel_width; kw++) {
                const int64_t shift = kw * w->dilation_width - w->padding_width;
                int64_t low, high;
                N(inside)(w->width, w->out_width, w->stride_width, shift, &low, &high);
                for (int64_t oh = 0; oh < w->out_height; oh++, columns += w->out_width) {
                    const int64_t ih = oh * w->stride_height - w->padding_height + kh * w->dilation_height;
                    if (ih < 0 || ih >= w->height) continue;
                    T *row = image + (c * w->height + ih) * w->width + shift;
                    if (w->stride_width == 1) for (int64_t ow = low; ow < high; ow++) row[ow] += columns[ow];
                    else for (int64_t ow = low; ow < high; ow++) row[ow * w->stride_width] += columns[ow];
                }
            }
}

/// One tap of the kernel over one row of windows: take what is larger. `stride` is a literal where it can be, since loads
/// with a known stride become shuffles of whole vectors.
CK_INLINE void N(max_tap)(int64_t low, int64_t high, int64_t stride, const T *restrict row, int32_t place, T *restrict out,
                          int32_t *restrict index) {
    for (int64_t ow = low; ow < high; ow++) {
        const T v = row[ow * stride];
        // The first of equal ones stays; a NaN wins; what is there first beats nothing, also when it is −∞.
        const int taken = (v > out[ow]) | (v != v) | (index[ow] < 0);
        out[ow] = taken ? v : out[ow];
        index[ow] = taken ? place + (int32_t)(ow * stride) : index[ow];
    }
}

// Row by row of windows, tap by tap: the taps of one window come in the same order as if it were done by itself.
CK_CLONES static void N(max_pool)(const ck_window *w, const T *image, T *out, int32_t *index) {
    for (int64_t c = 0; c < w->channels; c++, image += w->height * w->width)
        for (int64_t oh = 0; oh < w->out_height; oh++, out += w->out_width, index += w->out_width) {
            for (int64_t ow = 0; ow < w->out_width; ow++) {
                out[ow] = -(T)INFINITY;
                index[ow] = -1;
            }
            for (int64_t kh = 0; kh < w->kernel_height; kh++) {
                const int64_t ih = oh * w->stride_height - w->padding_height + kh * w->dilation_height;
                if (ih < 0 || ih >= w->height) continue;
                for (int64_t kw = 0; kw < w->kernel_width; kw++) {
                    const int64_t shift = kw * w->dilation_width - w->padding_width;
                    int64_t low, high;
                    N(inside)(w->width, w->out_width, w->stride_width, shift, &low, &high);
                    const T *row = image + ih * w->width + shift;
                    const int32_t place = (int32_t)(ih * w->width + shift);
                    if (w->stride_width == 1) N(max_tap)(low, high, 1, row, place, out, index);
                    else if (w->stride_width == 2) N(max_tap)(low, high, 2, row, place, out, index);
                    else N(max_tap)(low, high, w->stride_width, row, place, out, index);
                }
            }
        }
}

static void N(max_pool_gradient)(int64_t channels, int64_t in_plane, int64_t out_plane, const T *g, const int32_t *index,
                                 T *gx) {
    for (int64_t c = 0; c < channels; c++, g += out_plane, index += out_plane, gx += in_plane)
        for (int64_t i = 0; i < out_plane; i++)
            if (index[i] >= 0) gx[index[i]] += g[i];
}

CK_INLINE void N(sum_tap)(int64_t low, int64_t high, int64_t stride, const T *restrict row, T *restrict out) {
    for (int64_t ow = low; ow < high; ow++) out[ow] += row[ow * stride];
}

CK_INLINE void N(spread_tap)(int64_t low, int64_t high, int64_t stride, T scale, const T *restrict g, T *restrict row) {
    for (int64_t ow = low; ow < high; ow++) row[ow * stride] += g[ow] * scale;
}

// The padding counts: the divisor is always the kernel's area, as PyTorch's default count_include_pad.
CK_CLONES static void N(average_pool)(const ck_window *w, const T *image, T *out) {
    const T scale = (T)1 / (T)(w->kernel_height * w->kernel_width);
    for (int64_t c = 0; c < w->channels; c++, image += w->height * w->width)
        for (int64_t oh = 0; oh < w->out_height; oh++, out += w->out_width) {
            for (int64_t ow = 0; ow < w->out_width; ow++) out[ow] = 0;
            for (int64_t kh = 0; kh < w->kernel_height; kh++) {
                const int64_t ih = oh * w->stride_height - w->padding_height + kh * w->dilation_height;
                if (ih < 0 || ih >= w->height) continue;
                for (int64_t kw = 0; kw < w->kernel_width; kw++) {
                    const int64_t shift = kw * w->dilation_width - w->padding_width;
                    int64_t low, high;
                    N(inside)(w->width, w->out_width, w->stride_width, shift, &low, &high);
                    const T *row = image + ih * w->width + shift;
                    if (w->stride_width == 1) N(sum_tap)(low, high, 1, row, out);
                    else if (w->stride_width == 2) N(sum_tap)(low, high, 2, row, out);
                    else N(sum_tap)(low, high, w->stride_width, row, out);
                }
            }
            for (int64_t ow = 0; ow < w->out_width; ow++) out[ow] *= scale;
        }
}

CK_CLONES static void N(average_pool_gradient)(const ck_window *w, const T *g, T *gx) {
    const T scale = (T)1 / (T)(w->kernel_height * w->kernel_width);
    for (int64_t c = 0; c < w->channels; c++, gx += w->height * w->width)
        for (int64_t oh = 0; oh < w->out_height; oh++, g += w->out_width)
            for (int64_t kh = 0; kh < w->kernel_height; kh++) {
                const int64_t ih = oh * w->stride_height - w->padding_height + kh * w->dilation_height;
                if (ih < 0 || ih >= w->height) continue;
                for (int64_t kw = 0; kw < w->kernel_width; kw++) {
                    const int64_t shift = kw * w->dilation_width - w->padding_width;
                    int64_t low, high;
                    N(inside)(w->width, w->out_width, w->stride_width, shift, &low, &high);
                    T *row = gx + ih * w->width + shift;
                    if (w->stride_width == 1) N(spread_tap)(low, high, 1, scale, g, row);
                    else N(spread_tap)(low, high, w->stride_width, scale, g, row);
                }
            }
}
