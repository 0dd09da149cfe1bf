// Per-channel statistics and maps over rows of channels, a block of rows at a time.
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

void ck_channel_moments(ck_dtype t, int64_t rows, int64_t channels, const void *x, double *mean, double *squares) {
    if (t == CK_F32) channel_moments_f32(rows, channels, x, mean, squares);
    else channel_moments_f64(rows, channels, x, mean, squares);
}

void ck_channel_affine(ck_dtype t, int64_t rows, int64_t channels, const void *x, const double *mean, const double *scale,
                       const double *shift, int32_t rectify, void *y) {
    if (t == CK_F32) channel_affine_f32(rows, channels, x, mean, scale, shift, rectify, y);
    else channel_affine_f64(rows, channels, x, mean, scale, shift, rectify, y);
}

void ck_channel_gradient_sums(ck_dtype t, int64_t rows, int64_t channels, const void *x, const double *mean,
                              const double *scale, const double *shift, int32_t rectified, const void *g, double *sum,
                              double *product) {
    if (t == CK_F32) channel_gradient_sums_f32(rows, channels, x, mean, scale, shift, rectified, g, sum, product);
    else channel_gradient_sums_f64(rows, channels, x, mean, scale, shift, rectified, g, sum, product);
}

void ck_channel_gradient(ck_dtype t, int64_t rows, int64_t channels, const void *x, const double *mean,
                         const double *scale, const double *shift, int32_t rectified, const void *g, const double *slope,
                         const double *offset, void *gx) {
    if (t == CK_F32) channel_gradient_f32(rows, channels, x, mean, scale, shift, rectified, g, slope, offset, gx);
    else channel_gradient_f64(rows, channels, x, mean, scale, shift, rectified, g, slope, offset, gx);
}
