// Gathering a strided view into contiguous memory, and rows of a table by index.
#include "Internal.h"

#define CK_GATHER(name, E)                                                                                      \
    CK_CLONES static void name(int32_t rank, const int64_t *shape, const int64_t *strides, const E *x, E *y) {   \
        int64_t index[16] = {0};                                                                                \
        const int64_t inner = shape[rank - 1], step = strides[rank - 1];                                        \
        int64_t rows = 1;                                                                                       \
        for (int32_t d = 0; d < rank - 1; d++) rows *= shape[d];                                                \
        const E *row = x;                                                                                       \
        for (int64_t r = 0; r < rows; r++) {                                                                    \
            if (step == 1) memcpy(y, row, (size_t)inner * sizeof(E));                                           \
            else if (step == 0) for (int64_t i = 0; i < inner; i++) y[i] = row[0];                              \
            else for (int64_t i = 0; i < inner; i++) y[i] = row[i * step];                                      \
            y += inner;                                                                                         \
            for (int32_t d = rank - 2; d >= 0; d--) {                                                           \
                row += strides[d];                                                                              \
                if (++index[d] < shape[d]) break;                                                               \
                row -= strides[d] * shape[d];                                                                   \
                index[d] = 0;                                                                                   \
            }                                                                                                   \
        }                                                                                                       \
    }
CK_GATHER(gather_1, uint8_t)
CK_GATHER(gather_4, uint32_t)
CK_GATHER(gather_8, uint64_t)

void ck_gather_strided(int64_t element_size, int32_t rank, const int64_t *shape, const int64_t *strides, const void *x,
                       void *y) {
    const int64_t one = 1;
    if (rank == 0) {
        rank = 1;
        shape = &one;
        strides = &one;
    }
    switch (element_size) {
    case 1: gather_1(rank, shape, strides, x, y); break;
    case 4: gather_4(rank, shape, strides, x, y); break;
    default: gather_8(rank, shape, strides, x, y); break;
    }
}

void ck_take_rows(int64_t n, int64_t row_bytes, const void *table, const int64_t *index, void *out) {
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)out + i * row_bytes, (const char *)table + index[i] * row_bytes, (size_t)row_bytes);
}

#define CK_ADD_ROWS(name, T)                                                                                    \
    CK_CLONES static void name(int64_t n, int64_t columns, const T *restrict g, const int64_t *index, T *restrict table) { \
        for (int64_t i = 0; i < n; i++) {                                                                       \
            T *row = table + index[i] * columns;                                                                \
            const T *source = g + i * columns;                                                                  \
            for (int64_t c = 0; c < columns; c++) row[c] += source[c];                                          \
        }                                                                                                       \
    }
CK_ADD_ROWS(add_rows_f32, float)
CK_ADD_ROWS(add_rows_f64, double)

void ck_add_rows(ck_dtype t, int64_t n, int64_t columns, const void *g, const int64_t *index, void *table) {
    if (t == CK_F32) add_rows_f32(n, columns, g, index, table);
    else add_rows_f64(n, columns, g, index, table);
}
