// bfloat16 storage: conversion. The other elementwise kernels take bfloat16 through blocks of float32 (Elementwise.c).
#include "Internal.h"

CK_CLONES static void round_bf16(int64_t n, const float *x, float *y) {
    CK_INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] = f32_of_bf16(bf16_of_f32(x[i]));
}

void ck_round_bf16(int64_t n, const float *x, float *y) { round_bf16(n, x, y); }

CK_CLONES void widen_bf16(int64_t n, const uint16_t *restrict x, float *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] = f32_of_bf16(x[i]);
}

CK_CLONES void narrow_bf16(int64_t n, const float *restrict x, uint16_t *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] = bf16_of_f32(x[i]);
}

/// Rounding once, not twice: a double that is no float becomes the float beside it with an odd last bit, from which it
/// cannot lie on the other side of a tie.
CK_CLONES void narrow_f64_bf16(int64_t n, const double *restrict x, uint16_t *restrict y) {
    for (int64_t i = 0; i < n; i++) {
        const float nearest = (float)x[i];
        uint32_t bits;
        memcpy(&bits, &nearest, sizeof bits);
        const double back = nearest;
        const uint32_t outward = (back < 0 ? -back : back) > (x[i] < 0 ? -x[i] : x[i]);
        bits = back == x[i] || back != back ? bits : (bits - outward) | 1;
        float odd;
        memcpy(&odd, &bits, sizeof odd);
        y[i] = bf16_of_f32(odd);
    }
}

CK_CLONES static void adopt_bf16(int64_t n, const uint16_t *restrict values, float *restrict master) {
    for (int64_t i = 0; i < n; i++) {
        const float kept = master[i], own = f32_of_bf16(values[i]);
        master[i] = bf16_of_f32(kept) == values[i] ? kept : own;
    }
}

void ck_adopt_bf16(int64_t n, const void *values, void *master) { adopt_bf16(n, values, master); }
