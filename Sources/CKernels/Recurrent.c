// Steps of recurrent layers: what happens between two matrix products, in one pass.
#include "Internal.h"

#define T float
#define N(name) name##_f32
#include "Recurrent.template.h"
#undef T
#undef N
#define T double
#define N(name) name##_f64
#include "Recurrent.template.h"
#undef T
#undef N

void ck_recurrent_step(const ck_recurrence *r, ck_dtype t, int64_t first, int64_t last, const void *inputs,
                       const void *state, const void *cell, void *saved, void *next_state, void *next_cell) {
    if (t == CK_F32) recurrent_step_f32(r, first, last, inputs, state, cell, saved, next_state, next_cell);
    else recurrent_step_f64(r, first, last, inputs, state, cell, saved, next_state, next_cell);
}

void ck_recurrent_gradient(const ck_recurrence *r, ck_dtype t, int64_t first, int64_t last, const void *saved,
                           const void *state, const void *cell, const void *next_cell, const void *g, void *carried,
                           void *carried_cell, void *gx, void *gp) {
    if (t == CK_F32)
        recurrent_gradient_f32(r, first, last, saved, state, cell, next_cell, g, carried, carried_cell, gx, gp);
    else recurrent_gradient_f64(r, first, last, saved, state, cell, next_cell, g, carried, carried_cell, gx, gp);
}
