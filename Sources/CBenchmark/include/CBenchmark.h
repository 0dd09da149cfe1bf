#pragma once
// What only the measuring program needs: loops that run at the machine's limits, and a count of heap allocations.
#include <stdint.h>

/// Multiply-adds in registers with the widest vectors of this CPU; returns the floating-point operations done.
double cb_multiply_adds_f32(int64_t rounds);
double cb_multiply_adds_f64(int64_t rounds);
/// Dot products of pairs of bfloat16 numbers in registers; 0 where the CPU has no such instruction.
double cb_dot_products_bf16(int64_t rounds);
/// a[i] = b[i] + s · c[i], the triad of McCalpin's STREAM.
void cb_triad(int64_t n, float s, float *a, const float *b, const float *c);

/// How often the calling thread has asked the C library for memory; −1 where that cannot be counted.
int64_t cb_heap_allocations(void);
