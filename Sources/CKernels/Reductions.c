// Sums, extremes and their positions along rows or columns.
#include "Internal.h"

#define T float
#define N(name) name##_f32
#include "Reductions.template.h"
#undef T
#undef N
#define T double
#define N(name) name##_f64
#include "Reductions.template.h"
#undef T
#undef N

static void reduce_rows_i64(ck_reduce_op op, int64_t rows, int64_t columns, const int64_t *x, int64_t *out) {
    for (int64_t r = 0; r < rows; r++, x += columns) {
        int64_t best = op == CK_SUM ? 0 : x[0];
        for (int64_t c = 0; c < columns; c++) {
            if (op == CK_SUM) best += x[c];
            else if (op == CK_MAX) best = x[c] > best ? x[c] : best;
            else best = x[c] < best ? x[c] : best;
        }
        out[r] = best;
    }
}

static void arg_rows_i64(int32_t minimum, int64_t rows, int64_t columns, const int64_t *x, int64_t *out) {
    for (int64_t r = 0; r < rows; r++, x += columns) {
        int64_t best = 0;
        for (int64_t c = 1; c < columns; c++)
            if (minimum ? x[c] < x[best] : x[c] > x[best]) best = c;
        out[r] = best;
    }
}

void ck_reduce_rows(ck_reduce_op op, ck_dtype t, int64_t rows, int64_t columns, const void *x, void *out) {
    if (t == CK_F32) reduce_rows_f32(op, rows, columns, x, out);
    else if (t == CK_F64) reduce_rows_f64(op, rows, columns, x, out);
    else reduce_rows_i64(op, rows, columns, x, out);
}

void ck_sum_columns(ck_dtype t, int64_t rows, int64_t columns, const void *x, void *out) {
    if (t == CK_F32) sum_columns_f32(rows, columns, x, out);
    else sum_columns_f64(rows, columns, x, out);
}

void ck_relu_gradient_sums(ck_dtype t, int64_t rows, int64_t columns, const void *y, const void *g, void *gx, void *out) {
    if (t == CK_F32) relu_gradient_sums_f32(rows, columns, y, g, gx, out);
    else relu_gradient_sums_f64(rows, columns, y, g, gx, out);
}

void ck_arg_rows(ck_dtype t, int32_t minimum, int64_t rows, int64_t columns, const void *x, int64_t *out) {
    if (t == CK_F32) arg_rows_f32(minimum, rows, columns, x, out);
    else if (t == CK_F64) arg_rows_f64(minimum, rows, columns, x, out);
    else arg_rows_i64(minimum, rows, columns, x, out);
}

double ck_square_sum(ck_dtype t, int64_t n, const void *x) {
    return t == CK_F32 ? square_sum_f32(n, x) : square_sum_f64(n, x);
}

int32_t ck_all_finite(ck_dtype t, int64_t n, const void *x) {
    return t == CK_F32 ? all_finite_f32(n, x) : all_finite_f64(n, x);
}
