// Elementwise kernels: maps over one, two or three contiguous arrays.
#include "Internal.h"

#define T float
#define N(name) name##_f32
#include "Elementwise.template.h"
#undef T
#undef N
#define T double
#define N(name) name##_f64
#include "Elementwise.template.h"
#undef T
#undef N

// Note [bfloat16 in blocks]: bfloat16 is storage, arithmetic is single precision. A block of each operand is widened
// into the first cache, mapped as float32, and rounded on the way out.
#define CK_HALF_BLOCK 512
#define CK_IN_BLOCKS                                                                                     \
    for (int64_t start = 0, count; count = n - start < CK_HALF_BLOCK ? n - start : CK_HALF_BLOCK, start < n; \
         start += CK_HALF_BLOCK)
/// A block of an operand of stride 0 or 1.
static void widen_block(int64_t count, const void *x, int64_t stride, int64_t start, float *block) {
    widen_bf16(stride ? count : 1, (const uint16_t *)x + stride * start, block);
}
static void narrow_block(int64_t count, const float *block, int64_t start, void *y) {
    narrow_bf16(count, block, (uint16_t *)y + start);
}

static void unary_bf16(ck_unary_op op, int64_t n, const void *x, void *y) {
    float a[CK_HALF_BLOCK], c[CK_HALF_BLOCK];
    CK_IN_BLOCKS {
        widen_block(count, x, 1, start, a);
        unary_f32(op, count, a, c);
        narrow_block(count, c, start, y);
    }
}

static void unary_gradient_bf16(ck_unary_op op, int64_t n, const void *x, const void *y, const void *g, void *gx) {
    float a[CK_HALF_BLOCK], b[CK_HALF_BLOCK], d[CK_HALF_BLOCK], c[CK_HALF_BLOCK];
    CK_IN_BLOCKS {
        widen_block(count, x, 1, start, a);
        widen_block(count, y, 1, start, b);
        widen_block(count, g, 1, start, d);
        unary_gradient_f32(op, count, a, b, d, c);
        narrow_block(count, c, start, gx);
    }
}

void ck_unary(ck_unary_op op, ck_dtype t, int64_t n, const void *x, void *y) {
    if (t == CK_BF16) unary_bf16(op, n, x, y);
    else if (t == CK_F32) unary_f32(op, n, x, y);
    else unary_f64(op, n, x, y);
}

void ck_unary_gradient(ck_unary_op op, ck_dtype t, int64_t n, const void *x, const void *y, const void *g, void *gx) {
    if (t == CK_BF16) unary_gradient_bf16(op, n, x, y, g, gx);
    else if (t == CK_F32) unary_gradient_f32(op, n, x, y, g, gx);
    else unary_gradient_f64(op, n, x, y, g, gx);
}

void ck_gelu_and_slope(ck_dtype t, int64_t n, const void *x, void *y, void *slope) {
    if (t == CK_F32) gelu_and_slope_f32(n, x, y, slope);
    else gelu_and_slope_f64(n, x, y, slope);
}

void ck_multiply_in_place(ck_dtype t, int64_t n, const void *x, void *y) {
    if (t == CK_F32) multiply_in_place_f32(n, x, y);
    else multiply_in_place_f64(n, x, y);
}

#define T int64_t
#define N(name) name##_i64
#define CK_INTEGER
#include "ElementwiseBinary.template.h"
#undef T
#undef N
#define T uint8_t
#define N(name) name##_u8
#include "ElementwiseBinary.template.h"
#undef T
#undef N
#undef CK_INTEGER
#define T float
#define N(name) name##_f32
#include "ElementwiseBinary.template.h"
#undef T
#undef N
#define T double
#define N(name) name##_f64
#include "ElementwiseBinary.template.h"
#undef T
#undef N

static void binary_bf16(ck_binary_op op, int64_t n, const void *a, int64_t sa, const void *b, int64_t sb, void *o) {
    float u[CK_HALF_BLOCK], v[CK_HALF_BLOCK], c[CK_HALF_BLOCK];
    CK_IN_BLOCKS {
        widen_block(count, a, sa, start, u);
        widen_block(count, b, sb, start, v);
        binary_f32(op, count, u, sa, v, sb, c);
        narrow_block(count, c, start, o);
    }
}

static void compare_bf16(ck_compare_op op, int64_t n, const void *a, int64_t sa, const void *b, int64_t sb, uint8_t *o) {
    float u[CK_HALF_BLOCK], v[CK_HALF_BLOCK];
    CK_IN_BLOCKS {
        widen_block(count, a, sa, start, u);
        widen_block(count, b, sb, start, v);
        compare_f32(op, count, u, sa, v, sb, o + start);
    }
}

static void select_bf16(int64_t n, const uint8_t *m, const uint16_t *a, int64_t sa, const uint16_t *b, int64_t sb,
                        uint16_t *o) {
    for (int64_t i = 0; i < n; i++) o[i] = m[i] ? a[i * sa] : b[i * sb];
}

static void affine_bf16(int64_t n, const void *x, float scale, float shift, void *y) {
    float a[CK_HALF_BLOCK];
    CK_IN_BLOCKS {
        widen_block(count, x, 1, start, a);
        affine_f32(count, a, scale, shift, a);
        narrow_block(count, a, start, y);
    }
}

static void accumulate_bf16(int64_t n, float scale, const void *x, void *y) {
    float a[CK_HALF_BLOCK], c[CK_HALF_BLOCK];
    CK_IN_BLOCKS {
        widen_block(count, x, 1, start, a);
        widen_block(count, y, 1, start, c);
        accumulate_f32(count, scale, a, c);
        narrow_block(count, c, start, y);
    }
}

static void fill_bf16(int64_t n, double value, uint16_t *y) {
    uint16_t rounded;
    narrow_f64_bf16(1, &value, &rounded);
    for (int64_t i = 0; i < n; i++) y[i] = rounded;
}

static void clamp_bf16(int64_t n, float lower, float upper, const void *x, void *y) {
    float a[CK_HALF_BLOCK];
    CK_IN_BLOCKS {
        widen_block(count, x, 1, start, a);
        clamp_f32(count, lower, upper, a, a);
        narrow_block(count, a, start, y);
    }
}

#define CK_BY_TYPE(call_f32, call_f64, call_i64, call_u8, call_bf16) \
    switch (t) {                                                     \
    case CK_F32: call_f32; break;                                    \
    case CK_F64: call_f64; break;                                    \
    case CK_I64: call_i64; break;                                    \
    case CK_U8: call_u8; break;                                      \
    case CK_BF16: call_bf16; break;                                  \
    }

void ck_binary(ck_binary_op op, ck_dtype t, int64_t n, const void *a, int64_t sa, const void *b, int64_t sb, void *o) {
    CK_BY_TYPE(binary_f32(op, n, a, sa, b, sb, o), binary_f64(op, n, a, sa, b, sb, o),
               binary_i64(op, n, a, sa, b, sb, o), binary_u8(op, n, a, sa, b, sb, o),
               binary_bf16(op, n, a, sa, b, sb, o))
}

void ck_compare(ck_compare_op op, ck_dtype t, int64_t n, const void *a, int64_t sa, const void *b, int64_t sb,
                uint8_t *o) {
    CK_BY_TYPE(compare_f32(op, n, a, sa, b, sb, o), compare_f64(op, n, a, sa, b, sb, o),
               compare_i64(op, n, a, sa, b, sb, o), compare_u8(op, n, a, sa, b, sb, o),
               compare_bf16(op, n, a, sa, b, sb, o))
}

void ck_select(ck_dtype t, int64_t n, const uint8_t *m, const void *a, int64_t sa, const void *b, int64_t sb, void *o) {
    CK_BY_TYPE(select_f32(n, m, a, sa, b, sb, o), select_f64(n, m, a, sa, b, sb, o), select_i64(n, m, a, sa, b, sb, o),
               select_u8(n, m, a, sa, b, sb, o), select_bf16(n, m, a, sa, b, sb, o))
}

void ck_affine(ck_dtype t, int64_t n, const void *x, double scale, double shift, void *y) {
    CK_BY_TYPE(affine_f32(n, x, (float)scale, (float)shift, y), affine_f64(n, x, scale, shift, y),
               affine_i64(n, x, (int64_t)scale, (int64_t)shift, y),
               // Through a signed integer: a negative double to an unsigned byte has no defined value.
               affine_u8(n, x, (uint8_t)(int64_t)scale, (uint8_t)(int64_t)shift, y),
               affine_bf16(n, x, (float)scale, (float)shift, y))
}

void ck_accumulate(ck_dtype t, int64_t n, double scale, const void *x, void *y) {
    CK_BY_TYPE(accumulate_f32(n, (float)scale, x, y), accumulate_f64(n, scale, x, y),
               accumulate_i64(n, (int64_t)scale, x, y), accumulate_u8(n, (uint8_t)scale, x, y),
               accumulate_bf16(n, (float)scale, x, y))
}

void ck_fill(ck_dtype t, int64_t n, double value, void *y) {
    CK_BY_TYPE(fill_f32(n, (float)value, y), fill_f64(n, value, y), fill_i64(n, (int64_t)value, y),
               fill_u8(n, (uint8_t)value, y), fill_bf16(n, value, y))
}

void ck_clamp(ck_dtype t, int64_t n, double lower, double upper, const void *x, void *y) {
    if (t == CK_BF16) clamp_bf16(n, (float)lower, (float)upper, x, y);
    else if (t == CK_F32) clamp_f32(n, (float)lower, (float)upper, x, y);
    else clamp_f64(n, lower, upper, x, y);
}

#define CK_CONVERT(from_name, From, to_name, To)                                                      \
    CK_CLONES static void convert_##from_name##_##to_name(int64_t n, const From *x, To *y) {          \
        for (int64_t i = 0; i < n; i++) y[i] = (To)x[i];                                              \
    }
#define CK_CONVERT_FROM(name, From)      \
    CK_CONVERT(name, From, f32, float)   \
    CK_CONVERT(name, From, f64, double)  \
    CK_CONVERT(name, From, i64, int64_t) \
    CK_CONVERT(name, From, u8, uint8_t)
CK_CONVERT_FROM(f32, float)
CK_CONVERT_FROM(f64, double)
CK_CONVERT_FROM(i64, int64_t)
CK_CONVERT_FROM(u8, uint8_t)

/// To other types by way of float32, which holds every bfloat16; from integers by way of float64.
static void convert_from_bf16(ck_dtype to, int64_t n, const void *x, void *y) {
    static const int64_t size[] = {4, 8, 8, 1, 2};
    float a[CK_HALF_BLOCK];
    CK_IN_BLOCKS {
        widen_block(count, x, 1, start, a);
        ck_convert(CK_F32, to, count, a, (char *)y + start * size[to]);
    }
}

static void convert_to_bf16(ck_dtype from, int64_t n, const void *x, void *y) {
    if (from == CK_F32) return narrow_bf16(n, x, y);
    if (from == CK_F64) return narrow_f64_bf16(n, x, y);
    const int64_t size = from == CK_I64 ? 8 : 1;
    double a[CK_HALF_BLOCK];
    CK_IN_BLOCKS {
        ck_convert(from, CK_F64, count, (const char *)x + start * size, a);
        narrow_f64_bf16(count, a, (uint16_t *)y + start);
    }
}

typedef void (*convert_function)(int64_t, const void *, void *);
void ck_convert(ck_dtype from, ck_dtype to, int64_t n, const void *x, void *y) {
    if (from == CK_BF16 && to == CK_BF16) {
        memcpy(y, x, (size_t)n * sizeof(uint16_t));
        return;
    }
    if (from == CK_BF16 && to == CK_F32) return widen_bf16(n, x, y);
    if (from == CK_BF16) return convert_from_bf16(to, n, x, y);
    if (to == CK_BF16) return convert_to_bf16(from, n, x, y);
#define CK_CONVERT_ROW(name)                                                       \
    {(convert_function)convert_##name##_f32, (convert_function)convert_##name##_f64, \
     (convert_function)convert_##name##_i64, (convert_function)convert_##name##_u8}
    const convert_function table[4][4] = {CK_CONVERT_ROW(f32), CK_CONVERT_ROW(f64), CK_CONVERT_ROW(i64),
                                          CK_CONVERT_ROW(u8)};
    table[from][to](n, x, y);
}
