// Matrix products of bfloat16 operands with sums in single precision.
//
// Both operands are packed first: panels of 12 rows of a, panels of 32 columns of b, and in a panel one pair of
// neighbours along the inner extent after the other, as AVX512_BF16's dot product takes them. 12 × 32 sums are 24 of the
// 32 registers. Alone on a Zen 5 core the loop runs at 98 % of the instruction's peak. Other CPUs take the pairs apart
// and multiply in single precision.
#include "Internal.h"
#include "Transpose.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/// A pair of bfloat16 numbers in each lane, the even index in the lower half.
typedef uint32_t pair_lanes __attribute__((ext_vector_type(CK_LANES)));
// Pairs along the inner extent in one slice: 32 KiB of a panel of b.
#define CK_SLICE 256

#define N(name) name##_any
#define CK_TARGET CK_CLONES
#define CK_TARGET_INLINE CK_INLINE
#define CK_DOT(sum, a, b) \
    ((sum) + (lanes_f32)((a) << 16) * (lanes_f32)((b) << 16) + (lanes_f32)((a) & ~0xFFFFu) * (lanes_f32)((b) & ~0xFFFFu))
#include "BFloat16Product.template.h"
#undef N
#undef CK_TARGET
#undef CK_TARGET_INLINE
#undef CK_DOT

#if defined(__x86_64__)
#define N(name) name##_avx512
#define CK_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")))
#define CK_TARGET_INLINE CK_TARGET CK_INLINE
#define CK_DOT(sum, a, b) (lanes_f32) _mm512_dpbf16_ps((__m512)(sum), (__m512bh)(a), (__m512bh)(b))
#include "BFloat16Product.template.h"
#undef N
#undef CK_TARGET
#undef CK_TARGET_INLINE
#undef CK_DOT

int32_t ck_has_bf16_products(void) { return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512dq"); }
#else
int32_t ck_has_bf16_products(void) { return 0; }
#endif

void ck_multiply_bf16(int32_t emulate, int64_t rows, int64_t columns, int64_t inner, const void *a, const void *b,
                      const float *start, int64_t start_leading, float *c, int64_t leading) {
#if defined(__x86_64__)
    if (!emulate && ck_has_bf16_products())
        return multiply_avx512(rows, columns, inner, a, b, start, start_leading, c, leading);
#endif
    (void)emulate;
    multiply_any(rows, columns, inner, a, b, start, start_leading, c, leading);
}

// Packing ------------------------------------------------------------------------------------------------------------

// Where lines lie side by side (`apart` is the distance of neighbours along the inner extent), two rows of the source
// become one row of pairs; a few rows at a time for all panels, so that memory is read along the rows. Where the inner
// extent is dense, squares of 16 lines by 16 pairs are transposed. Either way what comes next is called for: many short
// runs at once are more than the CPU foresees by itself (0.59 to 0.16 ns an element).
#define CK_ROWS_BESIDE 16
#define CK_PACK(suffix, S, bits)                                                                                         \
    CK_INLINE void pack_panel_beside_##suffix(int64_t width, int64_t lines, int64_t inner, const S *x, int64_t apart,    \
                                              uint32_t *out) {                                                           \
        for (int64_t k = 0; k < inner; k += 2, out += width) {                                                           \
            const S *even = x + k * apart, *odd = even + apart;                                                          \
            const int paired = k + 1 < inner;                                                                            \
            for (int64_t i = 0; i < width; i += CK_LANES) {                                                              \
                __builtin_prefetch(even + CK_ROWS_BESIDE * apart + i);                                                   \
                __builtin_prefetch(odd + CK_ROWS_BESIDE * apart + i);                                                    \
            }                                                                                                            \
            if (lines >= width && paired)                                                                                \
                for (int64_t i = 0; i < width; i++) out[i] = bits(even[i]) | (uint32_t)bits(odd[i]) << 16;               \
            else                                                                                                         \
                for (int64_t i = 0; i < width; i++)                                                                      \
                    out[i] = i < lines ? bits(even[i]) | (paired ? (uint32_t)bits(odd[i]) << 16 : 0) : 0;                \
        }                                                                                                                \
    }                                                                                                                    \
    CK_INLINE void pack_panel_dense_##suffix(int64_t width, int64_t lines, int64_t inner, const S *x, int64_t apart,     \
                                             uint32_t *out) {                                                            \
        uint16_t square[CK_LANES][2 * CK_LANES];                                                                         \
        for (int64_t first = 0; first < width; first += CK_LANES) {                                                      \
            const int64_t height = width - first < CK_LANES ? width - first : CK_LANES;                                  \
            for (int64_t k = 0; k < inner; k += 2 * CK_LANES) {                                                          \
                const int64_t length = inner - k < 2 * CK_LANES ? inner - k : 2 * CK_LANES;                              \
                if (length < 2 * CK_LANES || lines - first < height) memset(square, 0, sizeof square);                   \
                for (int64_t i = 0; i < height && first + i < lines; i++) {                                              \
                    const S *line = x + (first + i) * apart + k;                                                         \
                    __builtin_prefetch(line + width * apart);                                                            \
                    __builtin_prefetch(line + width * apart + CK_LANES);                                                 \
                    if (length == 2 * CK_LANES) for (int j = 0; j < 2 * CK_LANES; j++) square[i][j] = bits(line[j]);     \
                    else for (int64_t j = 0; j < length; j++) square[i][j] = bits(line[j]);                              \
                }                                                                                                        \
                transpose_square(square, sizeof square[0], square, sizeof square[0]);                                                                                 \
                for (int64_t p = 0; 2 * p < length; p++)                                                                 \
                    memcpy(out + (k / 2 + p) * width + first, square[p], (size_t)height * sizeof(uint32_t));             \
            }                                                                                                            \
        }                                                                                                                \
    }                                                                                                                    \
    CK_INLINE void pack_panels_##suffix(int64_t width, int32_t dense, int64_t lines, int64_t inner, int64_t pairs,       \
                                        const S *x, int64_t apart, uint32_t *out) {                                      \
        const int64_t step = dense ? inner : CK_ROWS_BESIDE;                                                             \
        for (int64_t k = 0; k < inner; k += step)                                                                        \
            for (int64_t i = 0; i < lines; i += width) {                                                                 \
                const int64_t count = inner - k < step ? inner - k : step;                                               \
                uint32_t *target = out + i * pairs + k / 2 * width;                                                      \
                if (dense) pack_panel_dense_##suffix(width, lines - i, count, x + i * apart + k, apart, target);         \
                else pack_panel_beside_##suffix(width, lines - i, count, x + k * apart + i, apart, target);              \
            }                                                                                                            \
    }                                                                                                                    \
    CK_CLONES static void pack_##suffix(int32_t of_b, int32_t dense, int64_t lines, int64_t inner, int64_t pairs,        \
                                        const S *x, int64_t apart, uint32_t *out) {                                      \
        if (of_b) pack_panels_##suffix(CK_PANEL_COLUMNS, dense, lines, inner, pairs, x, apart, out);                     \
        else pack_panels_##suffix(CK_PANEL_ROWS, dense, lines, inner, pairs, x, apart, out);                             \
    }

#define CK_SAME_BITS(v) (v)
CK_PACK(f32, float, bf16_of_f32)
CK_PACK(bf16, uint16_t, CK_SAME_BITS)

#if defined(__x86_64__)
// With AVX512_BF16 a conversion rounds 32 floats at once (and takes numbers below the normal ones as 0, as the dot product
// does): a square of 16 lines by 16 pairs goes from memory to its panel without leaving the registers.
#define CK_PACK_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))

CK_INLINE __mmask16 first_lanes(int64_t count) { return count >= CK_LANES ? 0xFFFF : (__mmask16)((1u << count) - 1); }

/// Up to 16 lines by any number of pairs, each line dense; `width` is that of the panel.
CK_PACK_TARGET CK_INLINE void pack_lines_avx512(int64_t width, int64_t height, int64_t lines, int64_t inner,
                                                const float *x, int64_t apart, uint32_t *out) {
    const __mmask16 stored = first_lanes(height);
    for (int64_t k = 0; k < inner; k += 2 * CK_LANES) {
        const __mmask16 low = first_lanes(inner - k), high = inner - k > CK_LANES ? first_lanes(inner - k - CK_LANES) : 0;
        word_lanes row[CK_LANES] = {0};
        _Pragma("clang loop unroll(full)")
        for (int i = 0; i < CK_LANES; i++) {
            if (i >= lines || i >= height) continue;
            const float *line = x + i * apart + k;
            _mm_prefetch((const char *)(line + width * apart), _MM_HINT_T0);
            _mm_prefetch((const char *)(line + width * apart + CK_LANES), _MM_HINT_T0);
            row[i] = (word_lanes)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, line + CK_LANES),
                                                     _mm512_maskz_loadu_ps(low, line));
        }
        transpose_rows(row);
        for (int64_t p = 0; p < CK_LANES && k + 2 * p < inner; p++)
            _mm512_mask_storeu_epi32(out + (k / 2 + p) * width, stored, (__m512i)row[p]);
    }
}

/// Up to 32 lines that lie side by side: two rows of memory become one row of pairs.
CK_PACK_TARGET CK_INLINE void pack_beside_avx512(int64_t width, int64_t lines, int64_t inner, const float *x,
                                                 int64_t apart, uint32_t *out) {
    const __m512i alternate = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                               21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    for (int64_t k = 0; k < inner; k += 2, out += width)
        for (int64_t i = 0; i < width; i += CK_LANES) {
            const float *even = x + k * apart + i, *odd = even + apart;
            const __mmask16 read = first_lanes(lines > i ? lines - i : 0), paired = k + 1 < inner ? read : 0;
            _mm_prefetch((const char *)(even + CK_ROWS_BESIDE * apart), _MM_HINT_T0);
            _mm_prefetch((const char *)(odd + CK_ROWS_BESIDE * apart), _MM_HINT_T0);
            const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(paired, odd), _mm512_maskz_loadu_ps(read, even));
            _mm512_mask_storeu_epi32(out + i, first_lanes(width - i), _mm512_permutexvar_epi16(alternate, (__m512i)both));
        }
}

/// `width` is a constant where this is inlined.
CK_PACK_TARGET CK_INLINE void pack_panels_avx512(int64_t width, int32_t dense, int64_t lines, int64_t inner, int64_t pairs,
                                                 const float *x, int64_t apart, uint32_t *out) {
    const int64_t step = dense ? inner : CK_ROWS_BESIDE;
    for (int64_t k = 0; k < inner; k += step)
        for (int64_t i = 0; i < lines; i += width) {
            const int64_t count = inner - k < step ? inner - k : step;
            uint32_t *target = out + i * pairs + k / 2 * width;
            if (!dense) {
                pack_beside_avx512(width, lines - i, count, x + k * apart + i, apart, target);
                continue;
            }
            for (int64_t first = 0; first < width; first += CK_LANES)
                pack_lines_avx512(width, width - first, lines - i - first, count, x + (i + first) * apart + k, apart,
                                  target + first);
        }
}

CK_PACK_TARGET static void pack_avx512(int32_t of_b, int32_t dense, int64_t lines, int64_t inner, int64_t pairs,
                                       const float *x, int64_t apart, uint32_t *out) {
    if (of_b) pack_panels_avx512(CK_PANEL_COLUMNS, dense, lines, inner, pairs, x, apart, out);
    else pack_panels_avx512(CK_PANEL_ROWS, dense, lines, inner, pairs, x, apart, out);
}
#endif

void ck_pack_bf16(ck_dtype t, int32_t of_b, int32_t dense, int64_t lines, int64_t inner, int64_t pairs, const void *x,
                  int64_t apart, void *out) {
#if defined(__x86_64__)
    if (t == CK_F32 && ck_has_bf16_products()) return pack_avx512(of_b, dense, lines, inner, pairs, x, apart, out);
#endif
    if (t == CK_F32) pack_f32(of_b, dense, lines, inner, pairs, x, apart, out);
    else pack_bf16(of_b, dense, lines, inner, pairs, x, apart, out);
}
