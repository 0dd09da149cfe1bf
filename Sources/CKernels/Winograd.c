// Convolution of 3 × 3 windows, one step apart, by Winograd's minimal filtering F(4 × 4, 3 × 3): 36 multiplications a
// channel for 16 outputs instead of 144 (Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", 2016).
//
// With square patches d of 6 × 6 pixels, filters g and gradients e of 4 × 4:
//   result  Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A,   filter's gradient  Gᵀ [(Bᵀ d B) ⊙ (A e Aᵀ)] G.
// The elementwise products, summed over channels or patches, are 36 matrix products.
#include "ProductTile.h"

#define POINTS 36

typedef line_f32 line;
#define WIDTH line_width_f32
#define COLUMNS tile_columns_f32

/// Bᵀ on six values.
CK_INLINE void patch_transform(line *restrict d, int64_t step) {
    const line d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    d[0] = 4 * d0 - 5 * d2 + d4;
    d[step] = (d4 - 4 * d2) + (d3 - 4 * d1);
    d[2 * step] = (d4 - 4 * d2) - (d3 - 4 * d1);
    d[3 * step] = (d4 - d2) + 2 * (d3 - d1);
    d[4 * step] = (d4 - d2) - 2 * (d3 - d1);
    d[5 * step] = 4 * d1 - 5 * d3 + d5;
}

/// Aᵀ on six values, of which four remain.
CK_INLINE void result_transform(line *restrict m, int64_t step) {
    const line sum12 = m[step] + m[2 * step], difference12 = m[step] - m[2 * step];
    const line sum34 = m[3 * step] + m[4 * step], difference34 = m[3 * step] - m[4 * step];
    const line last = m[5 * step];
    m[0] = m[0] + sum12 + sum34;
    m[step] = difference12 + 2 * difference34;
    m[2 * step] = sum12 + 4 * sum34;
    m[3 * step] = difference12 + 8 * difference34 + last;
}

/// A on four values, which become six.
CK_INLINE void gradient_transform(line *restrict e, int64_t step) {
    const line e0 = e[0], e1 = e[step], e2 = e[2 * step], e3 = e[3 * step];
    e[step] = (e0 + e2) + (e1 + e3);
    e[2 * step] = (e0 + e2) - (e1 + e3);
    e[3 * step] = (e0 + 4 * e2) + (2 * e1 + 8 * e3);
    e[4 * step] = (e0 + 4 * e2) - (2 * e1 + 8 * e3);
    e[5 * step] = e3;
}

/// G on three values, which become six.
CK_INLINE void filter_transform(line *restrict g, int64_t step) {
    const line g0 = g[0], g1 = g[step], g2 = g[2 * step];
    g[0] = g0 * 0.25f;
    g[step] = (g0 + g1 + g2) * (-1.0f / 6);
    g[2 * step] = (g0 - g1 + g2) * (-1.0f / 6);
    g[3 * step] = g0 * (1.0f / 24) + g1 * (1.0f / 12) + g2 * (1.0f / 6);
    g[4 * step] = g0 * (1.0f / 24) - g1 * (1.0f / 12) + g2 * (1.0f / 6);
    g[5 * step] = g2;
}

/// Gᵀ on six values, of which three remain.
CK_INLINE void filter_gradient_transform(line *restrict s, int64_t step) {
    const line sum12 = s[step] + s[2 * step], difference12 = s[2 * step] - s[step];
    const line sum34 = s[3 * step] + s[4 * step], difference34 = s[3 * step] - s[4 * step];
    s[0] = s[0] * 0.25f - sum12 * (1.0f / 6) + sum34 * (1.0f / 24);
    s[step] = difference12 * (1.0f / 6) + difference34 * (1.0f / 12);
    s[2 * step] = (sum34 - sum12) * (1.0f / 6) + s[5 * step];
}

// A patch is six rows of six lines; a transform runs down its columns, then along its rows.
#define DOWN_AND_ALONG(transform, columns, rows, block)                              \
    do {                                                                             \
        for (int i = 0; i < (columns); i++) transform((block) + i, 6);               \
        for (int i = 0; i < (rows); i++) transform((block) + 6 * i, 1);              \
    } while (0)

/// The top left corner of a patch among the results: patches lie in rows over each image.
typedef struct {
    int64_t image, y, x;
} patch;

CK_INLINE patch patch_at(const ck_window *w, int64_t number) {
    const int64_t across = (w->out_width + 3) / 4, down = (w->out_height + 3) / 4;
    return (patch){number / (across * down), number / across % down * 4, number % across * 4};
}

/// One line each of the `size` × `size` pixels from (y, x), in rows of six; zeros outside the image.
CK_INLINE void read_pixels(const float *image, int64_t height, int64_t width, int64_t pitch, int64_t y, int64_t x,
                           int64_t size, line *to) {
    const int64_t left = x < 0 ? -x : 0, right = width - x < size ? width - x : size;
    for (int64_t r = 0; r < size; r++, to += 6) {
        const int is_inside = y + r >= 0 && y + r < height;
        const float *from = image + ((y + r) * width + x) * pitch;
        for (int64_t s = 0; s < size; s++)
            to[s] = is_inside && s >= left && s < right ? *(const line *)(from + s * pitch) : (line)0;
    }
}

/// What patches see of the image, transformed: points[point][patch][channel].
CK_CLONES static void see(const ck_window *w, const float *source, int64_t first, int64_t last, int64_t first_channel,
                          int64_t last_channel, int64_t room, float *points) {
    const int64_t channels = last_channel - first_channel;
    for (int64_t p = first; p < last; p++) {
        const patch at = patch_at(w, p);
        const float *image = source + at.image * w->height * w->width * w->channels;
        for (int64_t c = first_channel; c < last_channel; c += WIDTH) {
            line d[POINTS];
            read_pixels(image + c, w->height, w->width, w->channels, at.y - w->padding_height, at.x - w->padding_width, 6,
                        d);
            DOWN_AND_ALONG(patch_transform, 6, 6, d);
            float *to = points + (p - first) * channels + c - first_channel;
            for (int64_t k = 0; k < POINTS; k++) *(line *)(to + k * room * channels) = d[k];
        }
    }
}

/// The gradients of patches, transformed, for some outputs: points[point][block][patch][lane].
CK_CLONES static void see_gradient(const ck_window *w, const float *gradient, int64_t outputs, int64_t first, int64_t last,
                                   int64_t first_output, int64_t last_output, float *points) {
    const int64_t blocks = (last_output - first_output + COLUMNS - 1) / COLUMNS, count = last - first;
    for (int64_t p = first; p < last; p++) {
        const patch at = patch_at(w, p);
        const float *image = gradient + at.image * w->out_height * w->out_width * outputs;
        for (int64_t o = first_output; o < last_output; o += WIDTH) {
            line e[POINTS];
            read_pixels(image + o, w->out_height, w->out_width, outputs, at.y, at.x, 4, e);
            DOWN_AND_ALONG(gradient_transform, 4, 6, e);
            const int64_t block = (o - first_output) / COLUMNS, lane = (o - first_output) % COLUMNS;
            for (int64_t k = 0; k < POINTS; k++)
                *(line *)(points + ((k * blocks + block) * count + p - first) * COLUMNS + lane) = e[k];
        }
    }
}

/// Products of one block of outputs, points[point][patch][lane], turned into the patches' results.
CK_CLONES static void show(const ck_window *w, int64_t first, int64_t last, int64_t room, const float *points,
                           int64_t outputs, int64_t output, const float *bias, float *out) {
    for (int64_t p = first; p < last; p++) {
        const patch at = patch_at(w, p);
        float *image = out + at.image * w->out_height * w->out_width * outputs;
        for (int64_t o = output; o < output + COLUMNS && o < outputs; o += WIDTH) {
            line m[POINTS];
            for (int64_t k = 0; k < POINTS; k++)
                m[k] = *(const line *)(points + (k * room + p - first) * COLUMNS + o - output);
            DOWN_AND_ALONG(result_transform, 6, 4, m);
            const line shift = bias ? *(const line *)(bias + o) : (line)0;
            for (int64_t r = 0; r < 4 && at.y + r < w->out_height; r++)
                for (int64_t s = 0; s < 4 && at.x + s < w->out_width; s++)
                    *(line *)(image + ((at.y + r) * w->out_width + at.x + s) * outputs + o) = m[6 * r + s] + shift;
        }
    }
}

/// Filters of one block of outputs, transformed: packed[point][block][channel][lane].
CK_CLONES static void pack_filters(const ck_weights *w, const float *weights, int64_t block, float *packed) {
    const int64_t blocks = (w->outputs + COLUMNS - 1) / COLUMNS, output = block * COLUMNS;
    for (int64_t c = 0; c < w->channels; c++)
        for (int64_t half = 0; half < COLUMNS; half += WIDTH) {
            line g[POINTS];
            for (int64_t tap = 0; tap < 9; tap++) {
                const float *from = weights + w->first + c * w->channel_stride + tap / 3 * w->tap_row_stride +
                                    tap % 3 * w->tap_column_stride;
                for (int64_t lane = 0; lane < WIDTH; lane++) {
                    const int64_t o = output + half + lane;
                    g[tap / 3 * 6 + tap % 3][lane] = o < w->outputs ? from[o * w->output_stride] : 0;
                }
            }
            DOWN_AND_ALONG(filter_transform, 3, 6, g);
            for (int64_t k = 0; k < POINTS; k++)
                *(line *)(packed + ((k * blocks + block) * w->channels + c) * COLUMNS + half) = g[k];
        }
}

/// The way back for gradients of one block of outputs, parts added in order.
CK_CLONES static void unpack_filters(const ck_weights *w, int64_t parts, const float *sums, int64_t block, float *weights) {
    const int64_t blocks = (w->outputs + COLUMNS - 1) / COLUMNS, output = block * COLUMNS;
    const int64_t part_size = POINTS * blocks * w->channels * COLUMNS;
    for (int64_t c = 0; c < w->channels; c++)
        for (int64_t half = 0; half < COLUMNS; half += WIDTH) {
            line s[POINTS];
            for (int64_t k = 0; k < POINTS; k++) {
                const float *from = sums + ((k * blocks + block) * w->channels + c) * COLUMNS + half;
                s[k] = *(const line *)from;
                for (int64_t part = 1; part < parts; part++) s[k] += *(const line *)(from + part * part_size);
            }
            DOWN_AND_ALONG(filter_gradient_transform, 6, 3, s);
            for (int64_t tap = 0; tap < 9; tap++) {
                float *to = weights + w->first + c * w->channel_stride + tap / 3 * w->tap_row_stride +
                            tap % 3 * w->tap_column_stride;
                for (int64_t lane = 0; lane < WIDTH && output + half + lane < w->outputs; lane++)
                    to[(output + half + lane) * w->output_stride] = s[tap / 3 * 6 + tap % 3][lane];
            }
        }
}

void ck_winograd_pack(const ck_weights *w, const float *weights, int64_t block, float *packed) {
    pack_filters(w, weights, block, packed);
}

void ck_winograd_unpack(const ck_weights *w, int64_t parts, const float *sums, int64_t block, float *weights) {
    unpack_filters(w, parts, sums, block, weights);
}

int64_t ck_winograd_patches(const ck_window *w, int64_t batch) {
    return batch * ((w->out_height + 3) / 4) * ((w->out_width + 3) / 4);
}

/// Patches in whole tiles.
static int64_t whole_tiles(int64_t patches) { return (patches + CK_TILE_ROWS - 1) / CK_TILE_ROWS * CK_TILE_ROWS; }

int64_t ck_winograd_product_scratch(const ck_window *w, int64_t patches) {
    return POINTS * whole_tiles(patches) * (w->channels + COLUMNS);
}

void ck_winograd_product(const ck_window *w, const float *source, int64_t first, int64_t last, int64_t first_block,
                         int64_t last_block, int64_t outputs, const float *packed, const float *bias, float *out,
                         float *scratch) {
    const int64_t channels = w->channels, room = whole_tiles(last - first), blocks = (outputs + COLUMNS - 1) / COLUMNS;
    float *seen = scratch, *products = scratch + POINTS * room * channels;
    see(w, source, first, last, 0, channels, room, seen);
    for (int64_t block = first_block; block < last_block; block++) {
        for (int64_t k = 0; k < POINTS; k++)
            for (int64_t p = 0; p < last - first; p += CK_TILE_ROWS) {
                float *rows[CK_TILE_ROWS];
                for (int64_t i = 0; i < CK_TILE_ROWS; i++) rows[i] = products + (k * room + p + i) * COLUMNS;
                tile_of_rows_f32(channels, seen + (k * room + p) * channels, channels,
                                 packed + (k * blocks + block) * channels * COLUMNS, rows, 0);
            }
        show(w, first, last, room, products, outputs, block * COLUMNS, bias, out);
    }
}

/// Patches whose inputs and gradients are multiplied at once: what they become stays in the second cache.
#define OUTER_PATCHES 32

int64_t ck_winograd_outer_scratch(int64_t channels, int64_t outputs) {
    // A tile may read past the last channel of the last patch.
    return POINTS * OUTER_PATCHES * (channels + outputs + COLUMNS) + CK_TILE_ROWS;
}

void ck_winograd_outer(const ck_window *w, const float *source, const float *gradient, int64_t outputs, int64_t first,
                       int64_t last, int64_t first_channel, int64_t last_channel, int64_t first_block, int64_t last_block,
                       float *sums, float *scratch) {
    const int64_t channels = last_channel - first_channel, all_blocks = (outputs + COLUMNS - 1) / COLUMNS;
    const int64_t last_output = last_block * COLUMNS < outputs ? last_block * COLUMNS : outputs;
    float *seen = scratch, *gradients = scratch + POINTS * OUTER_PATCHES * channels + CK_TILE_ROWS;
    float spare[CK_TILE_ROWS][COLUMNS];
    memset(spare, 0, sizeof spare);
    for (int64_t p = first; p < last; p += OUTER_PATCHES) {
        const int64_t end = p + OUTER_PATCHES < last ? p + OUTER_PATCHES : last, count = end - p;
        see(w, source, p, end, first_channel, last_channel, count, seen);
        see_gradient(w, gradient, outputs, p, end, first_block * COLUMNS, last_output, gradients);
        for (int64_t k = 0; k < POINTS; k++)
            for (int64_t block = first_block; block < last_block; block++)
                for (int64_t c = 0; c < channels; c += CK_TILE_ROWS) {
                    float *rows[CK_TILE_ROWS];
                    for (int64_t i = 0; i < CK_TILE_ROWS; i++)
                        rows[i] = c + i < channels
                                      ? sums + ((k * all_blocks + block) * w->channels + first_channel + c + i) * COLUMNS
                                      : spare[i];
                    tile_of_columns_f32(count, seen + k * count * channels + c, channels,
                                        gradients + (k * (last_block - first_block) + block - first_block) * count * COLUMNS,
                                        rows, p > first);
                }
    }
}
