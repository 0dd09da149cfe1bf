// Kernels that work row by row: softmax, cross entropy, layer normalisation.
#include "Internal.h"

#define T float
#define N(name) name##_f32
#include "Exponentials.template.h"
#include "Rows.template.h"
#undef T
#undef N
#define T double
#define N(name) name##_f64
#include "Exponentials.template.h"
#include "Rows.template.h"
#undef T
#undef N

void ck_softmax_rows(ck_dtype t, int32_t logarithm, int64_t rows, int64_t columns, const void *x, void *y) {
    if (t == CK_F32) softmax_rows_f32(logarithm, rows, columns, x, y);
    else softmax_rows_f64(logarithm, rows, columns, x, y);
}

void ck_softmax_rows_gradient(ck_dtype t, int32_t logarithm, int64_t rows, int64_t columns, const void *y, const void *g,
                              void *gx) {
    if (t == CK_F32) softmax_rows_gradient_f32(logarithm, rows, columns, y, g, gx);
    else softmax_rows_gradient_f64(logarithm, rows, columns, y, g, gx);
}

void ck_cross_entropy(ck_dtype t, int64_t rows, int64_t columns, const void *x, const int64_t *labels, int64_t ignored,
                      double smoothing, void *peak, void *log_sum, void *loss) {
    if (t == CK_F32) cross_entropy_f32(rows, columns, x, labels, ignored, (float)smoothing, peak, log_sum, loss);
    else cross_entropy_f64(rows, columns, x, labels, ignored, smoothing, peak, log_sum, loss);
}

void ck_cross_entropy_gradient(ck_dtype t, int64_t rows, int64_t columns, const void *x, const void *peak,
                               const void *log_sum, const int64_t *labels, int64_t ignored, double smoothing,
                               double scale, void *gx) {
    if (t == CK_F32)
        cross_entropy_gradient_f32(rows, columns, x, peak, log_sum, labels, ignored, (float)smoothing, (float)scale, gx);
    else cross_entropy_gradient_f64(rows, columns, x, peak, log_sum, labels, ignored, smoothing, scale, gx);
}

void ck_layer_norm(ck_dtype t, int64_t rows, int64_t columns, double epsilon, const void *x, const void *weight,
                   const void *bias, void *y, void *mean, void *inverse_deviation) {
    if (t == CK_F32) layer_norm_f32(rows, columns, epsilon, x, weight, bias, y, mean, inverse_deviation);
    else layer_norm_f64(rows, columns, epsilon, x, weight, bias, y, mean, inverse_deviation);
}

void ck_layer_norm_gradient(ck_dtype t, int64_t rows, int64_t columns, const void *x, const void *weight, const void *mean,
                            const void *inverse_deviation, const void *g, void *gx, void *gw, void *gb) {
    if (t == CK_F32) layer_norm_gradient_f32(rows, columns, x, weight, mean, inverse_deviation, g, gx, gw, gb);
    else layer_norm_gradient_f64(rows, columns, x, weight, mean, inverse_deviation, g, gx, gw, gb);
}
