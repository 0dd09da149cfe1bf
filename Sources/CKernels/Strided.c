// Gathering a strided view into contiguous memory, and rows of a table by index.
#include "Internal.h"

// Elements of a side of the squares in which a transposed block is copied: a cache line of floats.
#define CK_TILE 16

/// Steps an index over all dimensions but two, and the place of the source and destination with it; 0 at the end.
CK_INLINE int next_block(int32_t rank, int32_t skipped, const int64_t *shape, const int64_t *strides, const int64_t *dense,
                         int64_t *index, int64_t *from, int64_t *to) {
    for (int32_t d = rank - 2; d >= 0; d--) {
        if (d == skipped) continue;
        *from += strides[d];
        *to += dense[d];
        if (++index[d] < shape[d]) return 1;
        *from -= strides[d] * shape[d];
        *to -= dense[d] * shape[d];
        index[d] = 0;
    }
    return 0;
}

// Two ways. Where neighbours of the result lie far apart in the source, but the neighbours of the source are a dimension of
// their own (a transpose), squares of that dimension and the last: each cache line is read and written once, whole.
// Otherwise row by row.
#define CK_GATHER(name, E)                                                                                      \
    CK_CLONES static void name(int32_t rank, const int64_t *shape, const int64_t *strides, const E *x, E *y) {   \
        int64_t index[16] = {0}, dense[16], from = 0, to = 0;                                                   \
        const int64_t inner = shape[rank - 1], step = strides[rank - 1];                                        \
        dense[rank - 1] = 1;                                                                                    \
        int32_t across = -1;                                                                                    \
        for (int32_t d = rank - 2; d >= 0; d--) {                                                               \
            dense[d] = dense[d + 1] * shape[d + 1];                                                             \
            if (strides[d] == 1 && step > 1 && across < 0) across = d;                                          \
        }                                                                                                       \
        do {                                                                                                    \
            const E *source = x + from;                                                                         \
            E *target = y + to;                                                                                 \
            if (across >= 0) {                                                                                  \
                const int64_t rows = shape[across], apart = dense[across];                                      \
                for (int64_t r = 0; r < rows; r += CK_TILE)                                                     \
                    for (int64_t c = 0; c < inner; c += CK_TILE) {                                              \
                        const int64_t height = rows - r < CK_TILE ? rows - r : CK_TILE;                         \
                        const int64_t width = inner - c < CK_TILE ? inner - c : CK_TILE;                        \
                        E tile[CK_TILE][CK_TILE];                                                               \
                        for (int64_t j = 0; j < width; j++)                                                     \
                            memcpy(tile[j], source + (c + j) * step + r, (size_t)height * sizeof(E));           \
                        for (int64_t i = 0; i < height; i++) {                                                  \
                            E *line = target + (r + i) * apart + c;                                             \
                            if (width == CK_TILE) for (int j = 0; j < CK_TILE; j++) line[j] = tile[j][i];       \
                            else for (int64_t j = 0; j < width; j++) line[j] = tile[j][i];                      \
                        }                                                                                       \
                    }                                                                                           \
            } else if (step == 1) memcpy(target, source, (size_t)inner * sizeof(E));                            \
            else if (step == 0) for (int64_t i = 0; i < inner; i++) target[i] = source[0];                      \
            else for (int64_t i = 0; i < inner; i++) target[i] = source[i * step];                              \
        } while (next_block(rank, across, shape, strides, dense, index, &from, &to));                           \
    }
CK_GATHER(gather_1, uint8_t)
CK_GATHER(gather_2, uint16_t)
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
    case 2: gather_2(rank, shape, strides, x, y); break;
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
