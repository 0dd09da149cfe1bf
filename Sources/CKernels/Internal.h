#pragma once
// What the kernels share: the attribute that compiles a function for several CPUs, and single-precision mathematics
// that vectorises (libm's is one call per element).
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CKernels.h"

#if defined(__x86_64__)
#define CK_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CK_CLONES
#endif
// Inlined into every clone, so that each gets its own instruction set.
#define CK_INLINE static inline __attribute__((always_inline))

// Before a loop whose iterations read and write only their own index, so that it may run in place: without this the
// compiler's overlap check sends every call with x == y down the scalar path.
#define CK_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
// Where the loop calls exp: double precision calls libm, and such a loop cannot be vector code.
#define CK_INDEPENDENT_f32 CK_INDEPENDENT
#define CK_INDEPENDENT_f64

// Note [Lanes]: a sum over many elements is kept in 16 partial sums, folded in halves at the end. The order is part of
// the code, not of the vector width, so SSE2, AVX2 and AVX-512 add in the same order.
#define CK_LANES 16
// Partial sums are moved into a double after this many elements, so that long sums stay accurate.
#define CK_BLOCK 2048

/// Calls out an expression of `i` over 0 … n − 1 summed in lanes.
#define CK_LANE_SUM(result, n, expression)                                                   \
    {                                                                                        \
        T lane[CK_LANES] = {0};                                                              \
        int64_t base = 0;                                                                    \
        for (; base + CK_LANES <= (n); base += CK_LANES)                                     \
            for (int j = 0; j < CK_LANES; j++) { const int64_t i = base + j; lane[j] += (expression); } \
        for (int j = 0; base + j < (n); j++) { const int64_t i = base + j; lane[j] += (expression); }   \
        for (int w = CK_LANES / 2; w > 0; w /= 2)                                            \
            for (int j = 0; j < w; j++) lane[j] += lane[j + w];                              \
        result = lane[0];                                                                    \
    }

/// exp, Cephes' polynomial: relative error below 1.2e-7; 0 below −87.33, infinity above 88.72.
CK_INLINE float exp_f32(float x) {
    float clamped = x > 88.7228f ? 88.7228f : x;
    clamped = clamped < -87.33f ? -87.33f : clamped;
    float n = __builtin_rintf(clamped * 1.44269504088896341f);
    float r = clamped - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    float y = p * r * r + r + 1.0f;
    // 2^n in two factors, since 2^128 is not a float although e^88.7 is.
    int32_t half = (int32_t)n >> 1;
    union {
        int32_t i;
        float f;
    } a = {.i = (half + 127) << 23}, b = {.i = ((int32_t)n - half + 127) << 23};
    y = y * a.f * b.f;
    y = x < -87.33f ? 0.0f : y;
    y = x > 88.7228f ? (float)INFINITY : y;
    return x != x ? x : y;
}
CK_INLINE double exp_f64(double x) { return exp(x); }

/// The lanes of Note [Lanes] as one value, which the compiler keeps in as many registers as the CPU needs for it. Handed
/// around by pointer: how a vector is passed by value depends on the CPU.
typedef float lanes_f32 __attribute__((ext_vector_type(CK_LANES)));
typedef float lanes8_f32 __attribute__((ext_vector_type(8)));
typedef float lanes4_f32 __attribute__((ext_vector_type(4)));
typedef float lanes2_f32 __attribute__((ext_vector_type(2)));
typedef int32_t integer_lanes __attribute__((ext_vector_type(CK_LANES)));
typedef double lanes_f64 __attribute__((ext_vector_type(CK_LANES)));
typedef double lanes8_f64 __attribute__((ext_vector_type(8)));
typedef double lanes4_f64 __attribute__((ext_vector_type(4)));
typedef double lanes2_f64 __attribute__((ext_vector_type(2)));

/// exp_f32 of each lane, in place; for x ≤ 88, as after a peak was subtracted.
CK_INLINE void exp_lanes_f32(lanes_f32 *v) {
    const lanes_f32 x = *v, lowest = -87.33f;
    const lanes_f32 clamped = x < lowest ? lowest : x;
    const lanes_f32 n = __builtin_elementwise_rint(clamped * 1.44269504088896341f);
    lanes_f32 r = clamped - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    lanes_f32 p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const lanes_f32 y = p * r * r + r + 1.0f;
    // A NaN has no integer to convert to, and is in y already.
    const lanes_f32 whole = n == n ? n : (lanes_f32)0.0f;
    const integer_lanes power = (__builtin_convertvector(whole, integer_lanes) + 127) << 23;
    const lanes_f32 result = y * (lanes_f32)power;
    *v = x < lowest ? (lanes_f32)0.0f : result;
}
CK_INLINE void exp_lanes_f64(lanes_f64 *v) {
    for (int j = 0; j < CK_LANES; j++) (*v)[j] = exp((*v)[j]);
}

/// log(x · 2^−halvings) for x > 0 that is neither subnormal nor infinite: Cephes' polynomial on [√½, √2) times a power
/// of 2.
CK_INLINE float log_positive_f32(float x, int32_t halvings) {
    union {
        float f;
        int32_t i;
    } bits = {.f = x};
    // The exponent that leaves a mantissa in [√½, √2).
    const int32_t shifted = bits.i - 0x3F3504F3;
    const float exponent = (float)((shifted >> 23) - halvings);
    bits.i = (shifted & 0x007FFFFF) + 0x3F3504F3;
    const float r = bits.f - 1.0f, z = r * r;
    float p = 7.0376836292e-2f;
    p = p * r - 1.1514610310e-1f;
    p = p * r + 1.1676998740e-1f;
    p = p * r - 1.2420140846e-1f;
    p = p * r + 1.4249322787e-1f;
    p = p * r - 1.6668057665e-1f;
    p = p * r + 2.0000714765e-1f;
    p = p * r - 2.4999993993e-1f;
    p = p * r + 3.3333331174e-1f;
    const float y = p * r * z + exponent * -2.12194440e-4f;
    return y - 0.5f * z + r + exponent * 0.693359375f;
}

/// log: relative error below 1e-7, −∞ at 0, NaN below.
CK_INLINE float log_f32(float x) {
    // Subnormal numbers are scaled up, so that their exponent is where it is looked for.
    const int subnormal = x < 1.17549435e-38f;
    float y = log_positive_f32(subnormal ? x * 8388608.0f : x, subnormal ? 23 : 0);
    y = x == 0 ? -(float)INFINITY : y;
    y = x < 0 ? (float)NAN : y;
    // Infinity and NaN are their own logarithms.
    return x - x != 0 ? (x < 0 ? (float)NAN : x) : y;
}
CK_INLINE double log_f64(double x) { return log(x); }

/// log(1 + x) for 0 ≤ x ≤ 1: what rounding 1 + x lost is added back to first order.
CK_INLINE float log1p_f32(float x) {
    const float u = 1.0f + x;
    return log_f32(u) + (x - (u - 1.0f)) / u;
}
CK_INLINE double log1p_f64(double x) { return log1p(x); }

/// tanh: a polynomial near 0 (Cephes), through exp elsewhere.
CK_INLINE float tanh_f32(float x) {
    float a = x < 0 ? -x : x, z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float small = x + x * z * p;
    float big = 1.0f - 2.0f / (exp_f32(2.0f * a) + 1.0f);
    big = x < 0 ? -big : big;
    return a < 0.625f ? small : big;
}
CK_INLINE double tanh_f64(double x) { return tanh(x); }

/// The normal distribution's Φ(x), and E = exp(−x²/2) on the way.
///
/// The tail is E · t · P(t) / 2 with t = 1/(1 + 0.37 a), a = |x|/√2, the form of Abramowitz & Stegun 7.1.26; P is fitted
/// to erfc so that its relative error is below 2e-8 up to a = 9.5, also far out in the tail.
CK_INLINE float normal_cdf_f32(float x, float *e) {
    float a = (x < 0 ? -x : x) * 0.70710678118654752f;
    float t = 1.0f / (1.0f + 0.37f * a);
    float p = 0.06192359095643349f;
    p = p * t - 0.30327528558988276f;
    p = p * t + 0.48684622686122236f;
    p = p * t - 0.28531656751219625f;
    p = p * t + 0.3108050211236908f;
    p = p * t + 0.10651913529048158f;
    p = p * t + 0.20625431487877813f;
    p = p * t + 0.20742980097795233f;
    p = p * t + 0.20881374617364082f;
    *e = exp_f32(-0.5f * x * x);
    float tail = 0.5f * p * t * *e;
    return x < 0 ? tail : 1.0f - tail;
}
CK_INLINE double normal_cdf_f64(double x, double *e) {
    *e = exp(-0.5 * x * x);
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

// The elementwise form does not set errno, which would keep loops scalar.
#define sqrt_f32 __builtin_elementwise_sqrt
#define sqrt_f64 __builtin_elementwise_sqrt
#define sin_f32 sinf
#define sin_f64 sin
#define cos_f32 cosf
#define cos_f64 cos
#define pow_f32 powf
#define pow_f64 pow

/// The nearest bfloat16 number, ties to even, as its bits; a NaN stays one.
CK_INLINE uint16_t bf16_of_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded);
}
/// Whole arrays: bfloat16 to float32, and float32 and float64 to bfloat16.
void widen_bf16(int64_t n, const uint16_t *x, float *y);
void narrow_bf16(int64_t n, const float *x, uint16_t *y);
void narrow_f64_bf16(int64_t n, const double *x, uint16_t *y);

CK_INLINE float f32_of_bf16(uint16_t x) {
    const uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
