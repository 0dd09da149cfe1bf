// Matrix products in single precision for CPUs with AVX-512.
//
// Note [Panel product]: tiles of 14 × 32 sums stay in 28 of the 32 registers while the inner extent goes by, a slice of it
// at a time. B is packed into panels of 32 columns; A is read where it lies. OpenBLAS packs both, in every call anew, and
// clears C first. So a product cut for several threads packs nothing twice here: two threads of a Zen 5 reach 560 GFLOP/s
// (its peak) on the shapes of a transformer where OpenBLAS reaches 540, and 480 instead of 450 on those of a perceptron. An
// element's sum has one order, by slices, whatever part of C is asked for.
#include "Transpose.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define CK_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
#define CK_ROWS CK_PRODUCT_TILE
#define CK_COLUMNS CK_PRODUCT_PANEL
// A block of A, this many rows by a slice of the inner extent, stays in the second cache while the panels pass by.
#define CK_BLOCK_ROWS (8 * CK_ROWS)
#define CK_SLICE 512

/// The first `count` of 16 lanes, none when it is not positive.
CK_INLINE __mmask16 first_lanes(int64_t count) {
    return count >= CK_LANES ? 0xFFFF : count > 0 ? (__mmask16)((1u << count) - 1) : 0;
}

/// Where the sums of a tile go, rectified if so told, and where they start: at rows of C, at one row of biases, or at 0
/// (null).
typedef struct {
    float *c;
    int64_t leading, columns;
    const float *start;
    int64_t start_leading;
    int32_t rectify;
} tile_target;

/// One tile. `rows`, and the step of A that is 1, are constants where this is inlined.
CK_AVX512 CK_INLINE void tile(int rows, int64_t inner, const float *a, int64_t row_step, int64_t inner_step,
                              const float *b, tile_target t) {
    __m512 sum[CK_ROWS][2];
    _Pragma("clang loop unroll(full)")
    for (int i = 0; i < rows; i++) {
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
        _mm_prefetch((const char *)(t.c + i * t.leading), _MM_HINT_T0);
        _mm_prefetch((const char *)(t.c + i * t.leading + CK_LANES), _MM_HINT_T0);
    }
    for (int64_t k = 0; k < inner; k++, a += inner_step, b += CK_COLUMNS) {
        const __m512 left = _mm512_loadu_ps(b), right = _mm512_loadu_ps(b + CK_LANES);
        _Pragma("clang loop unroll(full)")
        for (int i = 0; i < rows; i++) {
            const __m512 x = _mm512_set1_ps(a[i * row_step]);
            sum[i][0] = _mm512_fmadd_ps(x, left, sum[i][0]);
            sum[i][1] = _mm512_fmadd_ps(x, right, sum[i][1]);
        }
    }
    const __mmask16 mask_left = first_lanes(t.columns), mask_right = first_lanes(t.columns - CK_LANES);
    _Pragma("clang loop unroll(full)")
    for (int i = 0; i < rows; i++) {
        float *c = t.c + i * t.leading;
        if (t.start) {
            const float *start = t.start + i * t.start_leading;
            sum[i][0] = _mm512_add_ps(sum[i][0], _mm512_maskz_loadu_ps(mask_left, start));
            sum[i][1] = _mm512_add_ps(sum[i][1], _mm512_maskz_loadu_ps(mask_right, start + CK_LANES));
        }
        if (t.rectify) {
            // The second operand where one is NaN, which stays.
            sum[i][0] = _mm512_max_ps(_mm512_setzero_ps(), sum[i][0]);
            sum[i][1] = _mm512_max_ps(_mm512_setzero_ps(), sum[i][1]);
        }
        _mm512_mask_storeu_ps(c, mask_left, sum[i][0]);
        _mm512_mask_storeu_ps(c + CK_LANES, mask_right, sum[i][1]);
    }
}

// A tile reads its rows of A along rows in memory, or, where A is transposed, along columns: then its 14 elements for one
// inner index are neighbours.
#define CK_TILE_ROWS(R)                                                                                            \
    CK_AVX512 static void along_rows_##R(int64_t n, const float *a, int64_t leading, const float *b, tile_target t) { \
        tile(R, n, a, leading, 1, b, t);                                                                           \
    }                                                                                                              \
    CK_AVX512 static void along_columns_##R(int64_t n, const float *a, int64_t leading, const float *b, tile_target t) { \
        tile(R, n, a, 1, leading, b, t);                                                                           \
    }
CK_TILE_ROWS(1) CK_TILE_ROWS(2) CK_TILE_ROWS(3) CK_TILE_ROWS(4) CK_TILE_ROWS(5) CK_TILE_ROWS(6) CK_TILE_ROWS(7)
CK_TILE_ROWS(8) CK_TILE_ROWS(9) CK_TILE_ROWS(10) CK_TILE_ROWS(11) CK_TILE_ROWS(12) CK_TILE_ROWS(13) CK_TILE_ROWS(14)
#define CK_TILES(way) {NULL, way##_1, way##_2, way##_3, way##_4, way##_5, way##_6, way##_7, way##_8, way##_9, way##_10, \
                       way##_11, way##_12, way##_13, way##_14}
typedef void (*tile_function)(int64_t, const float *, int64_t, const float *, tile_target);
static const tile_function tiles[2][CK_ROWS + 1] = {CK_TILES(along_rows), CK_TILES(along_columns)};

// The rows of B may be pages apart, more than the CPU foresees by itself.
#define CK_ROWS_AHEAD 8

/// A panel of up to 32 columns of B: for each inner index its 32 elements, 0 beyond the last column.
CK_AVX512 static void pack_panel(int64_t inner, int64_t columns, const float *b, int64_t leading, int32_t transposed,
                                 float *out) {
    const int64_t width = columns < CK_COLUMNS ? columns : CK_COLUMNS;
    if (!transposed) {
        const __mmask16 left = first_lanes(width), right = first_lanes(width - CK_LANES);
        for (int64_t k = 0; k < inner; k++, b += leading, out += CK_COLUMNS) {
            _mm_prefetch((const char *)(b + CK_ROWS_AHEAD * leading), _MM_HINT_T0);
            _mm_prefetch((const char *)(b + CK_ROWS_AHEAD * leading + CK_LANES), _MM_HINT_T0);
            _mm512_storeu_ps(out, _mm512_maskz_loadu_ps(left, b));
            _mm512_storeu_ps(out + CK_LANES, _mm512_maskz_loadu_ps(right, b + CK_LANES));
        }
        return;
    }
    for (int64_t half = 0; half < CK_COLUMNS; half += CK_LANES) {
        int64_t k = 0;
        const float *lines = b + half * leading;
        if (half + CK_LANES <= width)
            for (; k + CK_LANES <= inner; k += CK_LANES) {
                for (int i = 0; i < CK_LANES; i++)
                    _mm_prefetch((const char *)(lines + (CK_LANES + i) * leading + k), _MM_HINT_T0);
                transpose_square(lines + k, leading * 4, out + k * CK_COLUMNS + half, CK_COLUMNS * 4);
            }
        for (; k < inner; k++)
            for (int64_t j = 0; j < CK_LANES; j++)
                out[k * CK_COLUMNS + half + j] = half + j < width ? lines[j * leading + k] : 0;
    }
}

CK_INLINE int64_t clamped(int64_t x, int64_t most) { return x < 0 ? 0 : x < most ? x : most; }

CK_AVX512 static void multiply(const ck_product *p) {
    // Slices of one length, so that the last is not a remainder of a few.
    const int64_t slices = (p->inner + CK_SLICE - 1) / CK_SLICE;
    const int64_t slice = ((p->inner + slices - 1) / slices + CK_LANES - 1) / CK_LANES * CK_LANES;
    const int64_t row_step = p->a_transposed ? 1 : p->a_leading, inner_step = p->a_transposed ? p->a_leading : 1;
    for (int64_t k0 = 0; k0 < p->inner; k0 += slice) {
        const int64_t inner = p->inner - k0 < slice ? p->inner - k0 : slice;
        for (int64_t i0 = 0; i0 < p->rows; i0 += CK_BLOCK_ROWS) {
            const int64_t rows = p->rows - i0 < CK_BLOCK_ROWS ? p->rows - i0 : CK_BLOCK_ROWS;
            const float *a = p->a + i0 * row_step + k0 * inner_step;
            for (int64_t j = 0; j < p->columns; j += CK_COLUMNS) {
                const float *panel = p->panels + j * p->inner + k0 * CK_COLUMNS;
                tile_target t = {.leading = p->c_leading, .columns = p->columns - j,
                                 .rectify = p->rectify && k0 + inner == p->inner};
                for (int64_t i = 0; i < rows; i += CK_ROWS) {
                    const int64_t height = rows - i < CK_ROWS ? rows - i : CK_ROWS, row = i0 + i;
                    const int64_t seen = row + height + p->offset;
                    if (p->causal == CK_CAUSAL_RESULT && j >= seen) continue;
                    const int64_t last = p->causal == CK_CAUSAL_A ? clamped(seen - k0, inner) : inner;
                    const int64_t first = p->causal == CK_CAUSAL_TRANSPOSED_A ? clamped(row - p->offset - k0, inner) : 0;
                    t.c = p->c + row * p->c_leading + j;
                    t.start = k0 > 0 || p->add ? t.c : p->bias ? p->bias + j : NULL;
                    t.start_leading = k0 > 0 || p->add ? p->c_leading : 0;
                    tiles[p->a_transposed ? 1 : 0][height](last - first, a + i * row_step + first * inner_step,
                                                           p->a_leading, panel + first * CK_COLUMNS, t);
                }
            }
        }
    }
}

int32_t ck_has_products(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
void ck_pack_panels_f32(int64_t columns, int64_t inner, int64_t count, const float *b, int64_t leading, int32_t transposed,
                        float *out) {
    for (int64_t j = 0; j < columns; j += CK_COLUMNS)
        pack_panel(count, columns - j, b + (transposed ? j * leading : j), leading, transposed, out + j * inner);
}
void ck_multiply_f32(const ck_product *product) { multiply(product); }
#else
int32_t ck_has_products(void) { return 0; }
void ck_pack_panels_f32(int64_t columns, int64_t inner, int64_t count, const float *b, int64_t leading, int32_t transposed,
                        float *out) { __builtin_trap(); }
void ck_multiply_f32(const ck_product *product) { __builtin_trap(); }
#endif
