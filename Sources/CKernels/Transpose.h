#pragma once
// A square of 32-bit elements transposed in registers.
#include "Internal.h"

/// 32-bit elements of any meaning.
typedef uint32_t word_lanes __attribute__((ext_vector_type(CK_LANES)));

#define CK_SWAP(low, high, distance)                                          \
    _Pragma("clang loop unroll(full)")                                        \
    for (int i = 0; i < CK_LANES; i++)                                        \
        if (!(i & distance)) {                                                \
            const word_lanes u = row[i], v = row[i + distance];               \
            row[i] = __builtin_shufflevector(u, v, low);                      \
            row[i + distance] = __builtin_shufflevector(u, v, high);          \
        }
#define CK_LOW_8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define CK_HIGH_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define CK_LOW_4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define CK_HIGH_4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define CK_LOW_2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define CK_HIGH_2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define CK_LOW_1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define CK_HIGH_1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31

/// Transposes a square in registers: swaps its quarters, then the quarters of those, and so on.
CK_INLINE void transpose_rows(word_lanes row[CK_LANES]) {
    CK_SWAP(CK_LOW_8, CK_HIGH_8, 8)
    CK_SWAP(CK_LOW_4, CK_HIGH_4, 4)
    CK_SWAP(CK_LOW_2, CK_HIGH_2, 2)
    CK_SWAP(CK_LOW_1, CK_HIGH_1, 1)
}

/// Transposes a square of rows of 64 bytes, `from` and `to` bytes apart.
CK_INLINE void transpose_square(const void *source, int64_t from, void *target, int64_t to) {
    word_lanes row[CK_LANES];
    _Pragma("clang loop unroll(full)")
    for (int i = 0; i < CK_LANES; i++) memcpy(&row[i], (const char *)source + i * from, sizeof row[i]);
    transpose_rows(row);
    _Pragma("clang loop unroll(full)")
    for (int i = 0; i < CK_LANES; i++) memcpy((char *)target + i * to, &row[i], sizeof row[i]);
}
