// The softmax inside attention, for a block of scores at a time.
#include "Internal.h"

#define T float
#define N(name) name##_f32
#include "Exponentials.template.h"
#include "Attention.template.h"
#undef T
#undef N
#define T double
#define N(name) name##_f64
#include "Exponentials.template.h"
#include "Attention.template.h"
#undef T
#undef N

void ck_attention_weights(ck_dtype t, int64_t rows, int64_t columns, int64_t offset, double scale, int32_t is_first,
                          void *scores, void *peaks, void *sums, int64_t size, void *out, int64_t stride) {
    if (t == CK_F32)
        attention_weights_f32(rows, columns, offset, (float)scale, is_first, scores, peaks, sums, size, out, stride);
    else attention_weights_f64(rows, columns, offset, scale, is_first, scores, peaks, sums, size, out, stride);
}

void ck_attention_finish(ck_dtype t, int64_t rows, void *sums, int64_t size, void *out, int64_t stride) {
    if (t == CK_F32) attention_finish_f32(rows, sums, size, out, stride);
    else attention_finish_f64(rows, sums, size, out, stride);
}

void ck_attention_dots(ck_dtype t, int64_t rows, int64_t size, const void *a, int64_t stride_a, const void *b,
                       int64_t stride_b, void *out) {
    if (t == CK_F32) attention_dots_f32(rows, size, a, stride_a, b, stride_b, out);
    else attention_dots_f64(rows, size, a, stride_a, b, stride_b, out);
}

void ck_attention_gradient(ck_dtype t, int64_t rows, int64_t columns, int64_t offset, double scale, const void *peaks,
                           const void *inverses, const void *dots, void *scores, void *gradients) {
    if (t == CK_F32)
        attention_gradient_f32(rows, columns, offset, (float)scale, peaks, inverses, dots, scores, gradients);
    else attention_gradient_f64(rows, columns, offset, scale, peaks, inverses, dots, scores, gradients);
}
