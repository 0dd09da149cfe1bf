// Counter-based random numbers: word i of a stream is a function of (key, stream, i) alone.
//
// No multiplication is fused with an addition here, so that a seed means the same numbers on every CPU.
#pragma STDC FP_CONTRACT OFF
#include "Internal.h"

/// One block of Philox 4×32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
CK_INLINE void philox_block(uint64_t key, uint64_t stream, uint64_t block, uint32_t out[4]) {
    uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32), c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n1 = (uint32_t)p1;
        const uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1, n3 = (uint32_t)p0;
        c0 = n0;
        c1 = n1;
        c2 = n2;
        c3 = n3;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

CK_CLONES static void philox_blocks(uint64_t key, uint64_t stream, uint64_t first, int64_t blocks, uint32_t *restrict out) {
    for (int64_t b = 0; b < blocks; b++) philox_block(key, stream, first + (uint64_t)b, out + 4 * b);
}

void ck_philox(uint64_t key, uint64_t stream, uint64_t first_block, int64_t blocks, uint32_t *out) {
    philox_blocks(key, stream, first_block, blocks, out);
}

#define CK_DROPOUT(name, T)                                                                                          \
    CK_CLONES static void name(int64_t n, double p, uint64_t key, uint64_t stream, uint64_t first, const T *restrict x, \
                               T *restrict y, uint8_t *restrict mask) {                                              \
        /* An element is dropped when its word, as a fraction of 2^32, is below p. */                                 \
        const uint32_t limit = p >= 1 ? 0xFFFFFFFFu : (uint32_t)(p * 4294967296.0);                                   \
        const T scale = (T)(1.0 / (1.0 - p));                                                                        \
        uint32_t words[4 * 64];                                                                                      \
        for (int64_t start = 0; start < n; start += 4 * 64) {                                                        \
            const int64_t count = n - start < 4 * 64 ? n - start : 4 * 64;                                           \
            for (int64_t b = 0; 4 * b < count; b++)                                                                  \
                philox_block(key, stream, first + (uint64_t)(start / 4 + b), words + 4 * b);                         \
            for (int64_t i = 0; i < count; i++) {                                                                    \
                const uint8_t keep = words[i] >= limit;                                                              \
                mask[start + i] = keep;                                                                              \
                y[start + i] = keep ? x[start + i] * scale : (T)0;                                                   \
            }                                                                                                        \
        }                                                                                                            \
    }                                                                                                                \
    CK_CLONES static void name##_gradient(int64_t n, double scale, const uint8_t *restrict mask, const T *restrict g, \
                                          T *restrict gx) {                                                          \
        const T s = (T)scale;                                                                                        \
        for (int64_t i = 0; i < n; i++) gx[i] = mask[i] ? g[i] * s : (T)0;                                           \
    }
CK_DROPOUT(dropout_f32, float)
CK_DROPOUT(dropout_f64, double)

void ck_dropout(ck_dtype t, int64_t n, double p, uint64_t key, uint64_t stream, uint64_t first_block, const void *x,
                void *y, uint8_t *mask) {
    if (t == CK_F32) dropout_f32(n, p, key, stream, first_block, x, y, mask);
    else dropout_f64(n, p, key, stream, first_block, x, y, mask);
}

void ck_dropout_gradient(ck_dtype t, int64_t n, double scale, const uint8_t *mask, const void *g, void *gx) {
    if (t == CK_F32) dropout_f32_gradient(n, scale, mask, g, gx);
    else dropout_f64_gradient(n, scale, mask, g, gx);
}

/// Two normal numbers from two words, by the Box–Muller transform: radius √(−2 log u), angle 2π · b / 2³².
///
/// The angle is brought into ±π/4 by integer arithmetic, without rounding; sine and cosine are Cephes' polynomials.
CK_INLINE void box_muller(uint32_t a, uint32_t b, float *x, float *y) {
    const float u = ((float)a + 0.5f) * 0x1p-32f;
    const float radius = sqrt_f32(-2.0f * log_positive_f32(u, 0));
    const uint32_t quarter = (b + 0x20000000u) >> 30;
    const float t = (float)(int32_t)(b - (quarter << 30)) * 1.4629180792671596e-9f, tt = t * t;
    float s = -1.9515295891e-4f;
    s = s * tt + 8.3321608736e-3f;
    s = s * tt - 1.6666654611e-1f;
    s = s * tt * t + t;
    float c = 2.443315711809948e-5f;
    c = c * tt - 1.388731625493765e-3f;
    c = c * tt + 4.166664568298827e-2f;
    c = c * tt * tt - 0.5f * tt + 1.0f;
    const float cosine = quarter & 1 ? s : c, sine = quarter & 1 ? c : s;
    *x = radius * ((quarter + 1) & 2 ? -cosine : cosine);
    *y = radius * (quarter & 2 ? -sine : sine);
}

#define CK_CHUNK 256  // words made at a time

CK_CLONES static void normals(int64_t n, float deviation, uint64_t key, uint64_t stream, uint64_t first,
                              float *restrict y) {
    uint32_t words[CK_CHUNK];
    float numbers[CK_CHUNK];
    for (int64_t start = 0; start < n; start += CK_CHUNK) {
        const int64_t count = n - start < CK_CHUNK ? n - start : CK_CHUNK;
        philox_blocks(key, stream, first + (uint64_t)(start / 4), CK_CHUNK / 4, words);
        for (int64_t i = 0; i < CK_CHUNK / 2; i++)
            box_muller(words[2 * i], words[2 * i + 1], &numbers[2 * i], &numbers[2 * i + 1]);
        for (int64_t i = 0; i < count; i++) y[start + i] = numbers[i] * deviation;
    }
}

CK_CLONES static void uniforms(int64_t n, double bound, uint64_t key, uint64_t stream, uint64_t first,
                               float *restrict y) {
    uint32_t words[CK_CHUNK];
    for (int64_t start = 0; start < n; start += CK_CHUNK / 2) {
        const int64_t count = n - start < CK_CHUNK / 2 ? n - start : CK_CHUNK / 2;
        philox_blocks(key, stream, first + (uint64_t)(start / 2), CK_CHUNK / 4, words);
        for (int64_t i = 0; i < count; i++) {
            const int64_t bits = (int64_t)(((uint64_t)words[2 * i] << 21) ^ (words[2 * i + 1] >> 11));
            y[start + i] = (float)((2 * ((double)bits * 0x1p-53) - 1) * bound);
        }
    }
}

void ck_normals(int64_t n, float deviation, uint64_t key, uint64_t stream, uint64_t first_block, float *y) {
    normals(n, deviation, key, stream, first_block, y);
}

void ck_uniforms(int64_t n, double bound, uint64_t key, uint64_t stream, uint64_t first_block, float *y) {
    uniforms(n, bound, key, stream, first_block, y);
}
