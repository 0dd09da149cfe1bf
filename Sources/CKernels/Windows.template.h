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

CK_CLONES static void N(max_pool)(const ck_window *w, const T *image, T *out, int32_t *index) {
    for (int64_t c = 0; c < w->channels; c++, image += w->height * w->width)
        for (int64_t oh = 0; oh < w->out_height; oh++)
            for (int64_t ow = 0; ow < w->out_width; ow++) {
                T best = -(T)INFINITY;
                int64_t place = -1;
                for (int64_t kh = 0; kh < w->kernel_height; kh++) {
                    const int64_t ih = oh * w->stride_height - w->padding_height + kh * w->dilation_height;
                    if (ih < 0 || ih >= w->height) continue;
                    for (int64_t kw = 0; kw < w->kernel_width; kw++) {
                        const int64_t iw = ow * w->stride_width - w->padding_width + kw * w->dilation_width;
                        if (iw < 0 || iw >= w->width) continue;
                        const T v = image[ih * w->width + iw];
                        if (place < 0 || v > best || v != v) {
                            best = v;
                            place = ih * w->width + iw;
                        }
                    }
                }
                *out++ = best;
                *index++ = (int32_t)place;
            }
}

static void N(max_pool_gradient)(int64_t channels, int64_t in_plane, int64_t out_plane, const T *g, const int32_t *index,
                                 T *gx) {
    for (int64_t c = 0; c < channels; c++, g += out_plane, index += out_plane, gx += in_plane)
        for (int64_t i = 0; i < out_plane; i++)
            if (index[i] >= 0) gx[index[i]] += g[i];
}

// The padding counts: the divisor is always the kernel's area, as PyTorch's default count_include_pad.
CK_CLONES static void N(average_pool)(const ck_window *w, const T *image, T *out) {
    const T scale = (T)1 / (T)(w->kernel_height * w->kernel_width);
    for (int64_t c = 0; c < w->channels; c++, image += w->height * w->width)
        for (int64_t oh = 0; oh < w->out_height; oh++)
            for (int64_t ow = 0; ow < w->out_width; ow++) {
                T sum = 0;
                for (int64_t kh = 0; kh < w->kernel_height; kh++) {
                    const int64_t ih = oh * w->stride_height - w->padding_height + kh * w->dilation_height;
                    if (ih < 0 || ih >= w->height) continue;
                    for (int64_t kw = 0; kw < w->kernel_width; kw++) {
                        const int64_t iw = ow * w->stride_width - w->padding_width + kw * w->dilation_width;
                        if (iw >= 0 && iw < w->width) sum += image[ih * w->width + iw];
                    }
                }
                *out++ = sum * scale;
            }
}

CK_CLONES static void N(average_pool_gradient)(const ck_window *w, const T *g, T *gx) {
    const T scale = (T)1 / (T)(w->kernel_height * w->kernel_width);
    for (int64_t c = 0; c < w->channels; c++, gx += w->height * w->width)
        for (int64_t oh = 0; oh < w->out_height; oh++)
            for (int64_t ow = 0; ow < w->out_width; ow++) {
                const T share = *g++ * scale;
                for (int64_t kh = 0; kh < w->kernel_height; kh++) {
                    const int64_t ih = oh * w->stride_height - w->padding_height + kh * w->dilation_height;
                    if (ih < 0 || ih >= w->height) continue;
                    for (int64_t kw = 0; kw < w->kernel_width; kw++) {
                        const int64_t iw = ow * w->stride_width - w->padding_width + kw * w->dilation_width;
                        if (iw >= 0 && iw < w->width) gx[ih * w->width + iw] += share;
                    }
                }
            }
}
