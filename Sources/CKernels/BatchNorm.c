// Per-channel statistics and maps over [batch, channels, inner]. One channel a call: callers spread channels over threads.
#include "Internal.h"

#define T float
#define N(name) name##_f32
#include "BatchNorm.template.h"
#undef T
#undef N
#define T double
#define N(name) name##_f64
#include "BatchNorm.template.h"
#undef T
#undef N

void ck_channel_moments(ck_dtype t, int64_t batch, int64_t channels, int64_t inner, int64_t c, const void *x,
                        double *mean, double *variance) {
    if (t == CK_F32) channel_moments_f32(batch, channels, inner, c, x, mean, variance);
    else channel_moments_f64(batch, channels, inner, c, x, mean, variance);
}

void ck_channel_affine(ck_dtype t, int64_t batch, int64_t channels, int64_t inner, int64_t c, const void *x, double mean,
                       double scale, double shift, void *y) {
    if (t == CK_F32) channel_affine_f32(batch, channels, inner, c, x, (float)mean, (float)scale, (float)shift, y);
    else channel_affine_f64(batch, channels, inner, c, x, mean, scale, shift, y);
}

void ck_channel_gradient_sums(ck_dtype t, int64_t batch, int64_t channels, int64_t inner, int64_t c, const void *x,
                              double mean, const void *g, double *sum_g, double *sum_gx) {
    if (t == CK_F32) channel_gradient_sums_f32(batch, channels, inner, c, x, (float)mean, g, sum_g, sum_gx);
    else channel_gradient_sums_f64(batch, channels, inner, c, x, mean, g, sum_g, sum_gx);
}

void ck_channel_gradient(ck_dtype t, int64_t batch, int64_t channels, int64_t inner, int64_t c, const void *x, double mean,
                         const void *g, double a, double b, double d, void *gx) {
    if (t == CK_F32) channel_gradient_f32(batch, channels, inner, c, x, (float)mean, g, (float)a, (float)b, (float)d, gx);
    else channel_gradient_f64(batch, channels, inner, c, x, mean, g, a, b, d, gx);
}
