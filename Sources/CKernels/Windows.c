// Sliding windows over one image: unfolding for convolution, and pooling.
#include "Internal.h"

#define T float
#define N(name) name##_f32
#include "Windows.template.h"
#undef T
#undef N
#define T double
#define N(name) name##_f64
#include "Windows.template.h"
#undef T
#undef N

void ck_image_to_columns(ck_dtype t, const ck_window *w, const void *image, void *columns) {
    if (t == CK_F32) image_to_columns_f32(w, image, columns);
    else image_to_columns_f64(w, image, columns);
}

void ck_columns_to_image(ck_dtype t, const ck_window *w, const void *columns, void *image) {
    if (t == CK_F32) columns_to_image_f32(w, columns, image);
    else columns_to_image_f64(w, columns, image);
}

void ck_max_pool(ck_dtype t, const ck_window *w, const void *image, void *out, int32_t *index) {
    if (t == CK_F32) max_pool_f32(w, image, out, index);
    else max_pool_f64(w, image, out, index);
}

void ck_max_pool_gradient(ck_dtype t, int64_t channels, int64_t in_plane, int64_t out_plane, const void *g,
                          const int32_t *index, void *gx) {
    if (t == CK_F32) max_pool_gradient_f32(channels, in_plane, out_plane, g, index, gx);
    else max_pool_gradient_f64(channels, in_plane, out_plane, g, index, gx);
}

void ck_average_pool(ck_dtype t, const ck_window *w, const void *image, void *out) {
    if (t == CK_F32) average_pool_f32(w, image, out);
    else average_pool_f64(w, image, out);
}

void ck_average_pool_gradient(ck_dtype t, const ck_window *w, const void *g, void *gx) {
    if (t == CK_F32) average_pool_gradient_f32(w, g, gx);
    else average_pool_gradient_f64(w, g, gx);
}
