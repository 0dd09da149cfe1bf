// Products whose left operand is gathered from an image, and the tile they are made of.
#include "ProductTile.h"

// A panel's row: 1,536 bytes of operand, and a tile's rows more that may be read past its end. Fourteen fit the first
// cache, and their starts fall into different sets of it.
#define CK_PANEL 1600
#define CK_PANEL_DEPTH 1536
// Grid points that go into a weight gradient's panel at once: it fits the second cache.
#define CK_OUTER_POINTS 128

/// A point of the grid of windows.
typedef struct {
    int64_t image, y, x;
} grid_point;

CK_INLINE grid_point point_at(const ck_gather *g, int64_t number) {
    return (grid_point){number / (g->grid_width * g->grid_height), number / g->grid_width % g->grid_height,
                        number % g->grid_width};
}

CK_INLINE grid_point next_point(const ck_gather *g, grid_point at) {
    if (++at.x < g->grid_width) return at;
    at.x = 0;
    if (++at.y < g->grid_height) return at;
    at.y = 0;
    at.image++;
    return at;
}

/// Where a grid point's row is in an image tensor.
CK_INLINE int64_t offset_of_point(const ck_placement *p, grid_point at) {
    return ((at.image * p->height + p->first_row + at.y * p->row_step) * p->width + p->first_column +
            at.x * p->column_step) * p->pitch;
}

#define T float
#define N(name) name##_f32
#include "Convolution.template.h"
#undef T
#undef N
#define T double
#define N(name) name##_f64
#include "Convolution.template.h"
#undef T
#undef N

int64_t ck_product_columns(ck_dtype t) { return t == CK_F32 ? tile_columns_f32 : tile_columns_f64; }

void ck_gather_product(ck_dtype t, const ck_gather *g, const void *source, int64_t first, int64_t last,
                       int64_t first_block, int64_t last_block, int64_t outputs, const void *weights, const void *bias,
                       const ck_placement *p, void *out) {
    _Alignas(CK_LINE) char panel[CK_TILE_ROWS * CK_PANEL];
    if (t == CK_F32)
        gather_product_f32(g, source, first, last, first_block, last_block, outputs, weights, bias, p, out,
                           (float *)panel);
    else
        gather_product_f64(g, source, first, last, first_block, last_block, outputs, weights, bias, p, out,
                           (double *)panel);
}

void ck_gather_outer(ck_dtype t, const ck_gather *g, const void *source, int64_t first, int64_t last, int64_t low,
                     int64_t high, int64_t first_output, int64_t last_output, const void *gradient, int64_t pitch,
                     void *sums, int64_t sums_pitch) {
    _Alignas(CK_LINE) char panel[CK_OUTER_POINTS * CK_PANEL];
    _Alignas(CK_LINE) char right[CK_OUTER_POINTS * 2 * CK_LINE];
    if (t == CK_F32)
        gather_outer_f32(g, source, first, last, low, high, first_output, last_output, gradient, pitch, sums, sums_pitch,
                         (float *)panel, (float *)right);
    else
        gather_outer_f64(g, source, first, last, low, high, first_output, last_output, gradient, pitch, sums, sums_pitch,
                         (double *)panel, (double *)right);
}

int64_t ck_panel_depth(ck_dtype t) { return CK_PANEL_DEPTH / (t == CK_F32 ? sizeof(float) : sizeof(double)); }

void ck_pack_weights(ck_dtype t, const ck_weights *w, const void *weights, int64_t block, void *packed) {
    if (t == CK_F32) pack_weights_f32(w, weights, block, packed);
    else pack_weights_f64(w, weights, block, packed);
}

void ck_unpack_weights(ck_dtype t, const ck_weights *w, int64_t parts, const void *sums, int64_t sums_pitch, int64_t block,
                       void *weights) {
    if (t == CK_F32) unpack_weights_f32(w, parts, sums, sums_pitch, block, weights);
    else unpack_weights_f64(w, parts, sums, sums_pitch, block, weights);
}
