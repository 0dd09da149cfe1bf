// bfloat16 storage: rounding.
#include "Internal.h"

CK_CLONES static void round_bf16(int64_t n, const float *x, float *y) {
    CK_INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] = f32_of_bf16(bf16_of_f32(x[i]));
}

void ck_round_bf16(int64_t n, const float *x, float *y) { round_bf16(n, x, y); }
