// The innermost loop of products, for element type T with names N(name). Included once per type.

/// A cache line of elements, which is one AVX-512 register; at any address of an element.
typedef T N(line) __attribute__((ext_vector_type(CK_LINE / sizeof(T)), aligned(sizeof(T))));

enum { N(line_width) = CK_LINE / sizeof(T), N(tile_columns) = 2 * N(line_width) };

/// rows[i][column …] (+)= Σ over k < depth of a[i · row_stride + k · depth_stride] · b[k][column …], `lines` wide.
///
/// Every element is one chain of additions by ascending k, so its bits depend neither on the CPU's registers nor on
/// the tile it lies in.
CK_INLINE void N(part_of_tile)(int count, int lines, int64_t depth, const T *restrict a, int64_t row_stride,
                               int64_t depth_stride, const T *restrict b, T *const *rows, int64_t column, int adds) {
    N(line) sum[CK_TILE_ROWS][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < count; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < lines; j++)
            sum[i][j] = adds ? ((const N(line) *)(rows[i] + column))[j] : (N(line))0;
    for (int64_t k = 0; k < depth; k++) {
        const N(line) *right = (const N(line) *)(b + k * N(tile_columns) + column);
        const N(line) first = right[0], second = lines == 2 ? right[1] : first;
#pragma clang loop unroll(full)
        for (int i = 0; i < count; i++) {
            const N(line) left = a[i * row_stride + k * depth_stride];
            sum[i][0] += left * first;
            if (lines == 2) sum[i][1] += left * second;
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < count; i++)
#pragma clang loop unroll(full)
        for (int j = 0; j < lines; j++) ((N(line) *)(rows[i] + column))[j] = sum[i][j];
}

/// The whole tile where a register holds a line: 14 × 2 sums, two right operands and a left one in 32 registers.
CK_INLINE void N(wide_tile)(int64_t depth, const T *a, int64_t row_stride, int64_t depth_stride, const T *b,
                            T *const *rows, int adds) {
    if (adds) N(part_of_tile)(CK_TILE_ROWS, 2, depth, a, row_stride, depth_stride, b, rows, 0, 1);
    else N(part_of_tile)(CK_TILE_ROWS, 2, depth, a, row_stride, depth_stride, b, rows, 0, 0);
}

/// The same tile in parts of at most 5 × 1 lines, for 16 registers of half a line.
CK_INLINE void N(narrow_tile)(int64_t depth, const T *a, int64_t row_stride, int64_t depth_stride, const T *b,
                              T *const *rows, int adds) {
    for (int64_t column = 0; column < N(tile_columns); column += N(line_width)) {
        N(part_of_tile)(5, 1, depth, a, row_stride, depth_stride, b, rows, column, adds);
        N(part_of_tile)(5, 1, depth, a + 5 * row_stride, row_stride, depth_stride, b, rows + 5, column, adds);
        N(part_of_tile)(4, 1, depth, a + 10 * row_stride, row_stride, depth_stride, b, rows + 10, column, adds);
    }
}

// A tile whose rows are rows of the left operand in memory, `stride` elements apart, and one whose rows are its columns.
#define TILES(target, suffix, shape)                                                                                \
    target static void N(tile_of_rows_##suffix)(int64_t depth, const T *a, int64_t stride, const T *b,               \
                                                T *const *rows, int adds) {                                          \
        N(shape)(depth, a, stride, 1, b, rows, adds);                                                                \
    }                                                                                                                \
    target static void N(tile_of_columns_##suffix)(int64_t depth, const T *a, int64_t stride, const T *b,            \
                                                   T *const *rows, int adds) {                                       \
        N(shape)(depth, a, 1, stride, b, rows, adds);                                                                \
    }
TILES(, any, narrow_tile)
#if defined(__x86_64__)
// Not clones: each has a tile of its own shape.
TILES(__attribute__((target("arch=x86-64-v3"))), avx2, narrow_tile)
TILES(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), avx512, wide_tile)
#endif
#undef TILES

#if defined(__x86_64__)
#define BY_CPU(name, ...)                                                          \
    if (__builtin_cpu_supports("x86-64-v4")) N(name##_avx512)(__VA_ARGS__);        \
    else if (__builtin_cpu_supports("x86-64-v3")) N(name##_avx2)(__VA_ARGS__);     \
    else N(name##_any)(__VA_ARGS__)
#else
#define BY_CPU(name, ...) N(name##_any)(__VA_ARGS__)
#endif
CK_INLINE void N(tile_of_rows)(int64_t depth, const T *a, int64_t stride, const T *b, T *const *rows, int adds) {
    BY_CPU(tile_of_rows, depth, a, stride, b, rows, adds);
}
CK_INLINE void N(tile_of_columns)(int64_t depth, const T *a, int64_t stride, const T *b, T *const *rows, int adds) {
    BY_CPU(tile_of_columns, depth, a, stride, b, rows, adds);
}
#undef BY_CPU
