// Counter-based random numbers: word i of a stream is a function of (key, stream, i) alone.
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
