// Pooling, one image at a time, channels innermost.
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

void ck_max_pool(ck_dtype t, const ck_window *w, const void *image, void *out, uint16_t *winner) {
    if (t == CK_F32) max_pool_f32(w, image, out, winner);
    else max_pool_f64(w, image, out, winner);
}

void ck_max_pool_gradient(ck_dtype t, const ck_window *w, const void *g, const uint16_t *winner, void *gx) {
    if (t == CK_F32) max_pool_gradient_f32(w, g, winner, gx);
    else max_pool_gradient_f64(w, g, winner, gx);
}

void ck_average_pool(ck_dtype t, const ck_window *w, const void *image, void *out) {
    if (t == CK_F32) average_pool_f32(w, image, out);
    else average_pool_f64(w, image, out);
}

void ck_average_pool_gradient(ck_dtype t, const ck_window *w, const void *g, void *gx) {
    if (t == CK_F32) average_pool_gradient_f32(w, g, gx);
    else average_pool_gradient_f64(w, g, gx);
}
