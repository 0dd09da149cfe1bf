// The loops behind the machine's limits: independent chains, enough of them to hide the latency of an instruction, and
// few enough to stay in sixteen registers.
#include "CBenchmark.h"

#define CHAINS 12

// Results must be used, or the loop is not run.
static volatile double sink;

#if defined(__x86_64__)
#include <immintrin.h>

// Keeps a chain in its register: the compiler would move them all around once a round.
#define KEEP(x) __asm__ volatile("" : "+v"(x))

#define MULTIPLY_ADDS(name, isa, vector, set, fma, first, lanes)                             \
    __attribute__((target(isa))) static double name(int64_t rounds) {                        \
        vector x[CHAINS], a = set(0.999f), b = set(1e-3f);                                   \
        for (int i = 0; i < CHAINS; i++) x[i] = set((float)i);                               \
        for (int64_t n = 0; n < rounds; n++) {                                               \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) {            \
                x[i] = fma(x[i], a, b);                                                      \
                KEEP(x[i]);                                                                  \
            }                                                                                \
        }                                                                                    \
        for (int i = 0; i < CHAINS; i++) sink = sink + first(x[i]);                          \
        return 2.0 * lanes * CHAINS * (double)rounds;                                        \
    }
MULTIPLY_ADDS(f32_512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_cvtss_f32, 16)
MULTIPLY_ADDS(f64_512, "avx512f", __m512d, _mm512_set1_pd, _mm512_fmadd_pd, _mm512_cvtsd_f64, 8)
MULTIPLY_ADDS(f32_256, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_cvtss_f32, 8)
MULTIPLY_ADDS(f64_256, "avx2,fma", __m256d, _mm256_set1_pd, _mm256_fmadd_pd, _mm256_cvtsd_f64, 4)

__attribute__((target("avx512f,avx512bf16"))) static double bf16_512(int64_t rounds) {
    enum { chains = 14 };  // a longer latency
    __m512 x[chains];
    __m512bh a = (__m512bh)_mm512_set1_epi16(0x3c3c), b = a;
    KEEP(a);  // not constants
    KEEP(b);
    for (int i = 0; i < chains; i++) x[i] = _mm512_set1_ps((float)i);
    for (int64_t n = 0; n < rounds; n++) {
        _Pragma("clang loop unroll(full)") for (int i = 0; i < chains; i++) {
            x[i] = _mm512_dpbf16_ps(x[i], a, b);
            KEEP(x[i]);
        }
    }
    for (int i = 0; i < chains; i++) sink = sink + _mm512_cvtss_f32(x[i]);
    return 4.0 * 16 * chains * (double)rounds;
}

double cb_dot_products_bf16(int64_t rounds) {
    return __builtin_cpu_supports("avx512bf16") ? bf16_512(rounds) : 0;
}
#endif

// Without wider instructions: vectors of 16 bytes, which every CPU here has.
#define PORTABLE_MULTIPLY_ADDS(name, T, lanes)                                                    \
    static double name(int64_t rounds) {                                                          \
        typedef T vector __attribute__((ext_vector_type(lanes)));                                 \
        vector x[CHAINS], a = (T)0.999, b = (T)1e-3;                                              \
        for (int i = 0; i < CHAINS; i++) x[i] = (T)i;                                             \
        for (int64_t n = 0; n < rounds; n++) {                                                    \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) x[i] = x[i] * a + b; \
        }                                                                                         \
        for (int i = 0; i < CHAINS; i++) sink = sink + x[i][0];                                   \
        return 2.0 * lanes * CHAINS * (double)rounds;                                             \
    }
PORTABLE_MULTIPLY_ADDS(f32_portable, float, 4)
PORTABLE_MULTIPLY_ADDS(f64_portable, double, 2)

double cb_multiply_adds_f32(int64_t rounds) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return f32_512(rounds);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return f32_256(rounds);
#endif
    return f32_portable(rounds);
}

double cb_multiply_adds_f64(int64_t rounds) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return f64_512(rounds);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return f64_256(rounds);
#endif
    return f64_portable(rounds);
}

#if !defined(__x86_64__)
double cb_dot_products_bf16(int64_t rounds) { return 0; }
#endif

#if defined(__x86_64__)
__attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#endif
void cb_triad(int64_t n, float s, float *restrict a, const float *restrict b, const float *restrict c) {
    for (int64_t i = 0; i < n; i++) a[i] = b[i] + s * c[i];
}
