// Parameter updates in one pass over flat storage.
#include "Internal.h"

/// The decayed weight `w`, the gradient `g`, and the new moments `m` and `v` of element i.
#define CK_ADAM_MOMENTS(T)                                                     \
    const T w = p[i] * shrink, g = sign * gradient[i] + decay * p[i];          \
    const T m = b1 * mean[i] + c1 * g, v = b2 * variance[i] + c2 * g * g;      \
    mean[i] = m;                                                               \
    variance[i] = v;

#define CK_OPTIMIZERS(suffix, T, root)                                                                                \
    CK_CLONES static void sgd_##suffix(int64_t n, const ck_sgd_settings *s, T *restrict p, const T *restrict gradient, \
                                       T *restrict momentum) {                                                        \
        const T rate = (T)s->learning_rate, decay = (T)s->weight_decay, mu = (T)s->momentum;                          \
        const T fresh = s->first_step ? (T)1 : (T)1 - (T)s->dampening, old = s->first_step ? (T)0 : mu;               \
        const T sign = s->maximize ? (T)-1 : (T)1;                                                                    \
        if (!momentum) {                                                                                              \
            for (int64_t i = 0; i < n; i++) p[i] -= rate * (sign * gradient[i] + decay * p[i]);                       \
        } else if (s->nesterov) {                                                                                     \
            for (int64_t i = 0; i < n; i++) {                                                                         \
                const T g = sign * gradient[i] + decay * p[i];                                                        \
                const T m = old * momentum[i] + fresh * g;                                                            \
                momentum[i] = m;                                                                                      \
                p[i] -= rate * (g + mu * m);                                                                          \
            }                                                                                                         \
        } else {                                                                                                      \
            for (int64_t i = 0; i < n; i++) {                                                                         \
                const T g = sign * gradient[i] + decay * p[i];                                                        \
                const T m = old * momentum[i] + fresh * g;                                                            \
                momentum[i] = m;                                                                                      \
                p[i] -= rate * m;                                                                                     \
            }                                                                                                         \
        }                                                                                                             \
    }                                                                                                                 \
    CK_CLONES static void adam_##suffix(int64_t n, const ck_adam_settings *s, T *restrict p, const T *restrict gradient, \
                                        T *restrict mean, T *restrict variance, T *restrict largest) {                \
        const T b1 = (T)s->beta1, b2 = (T)s->beta2, c1 = (T)(1 - s->beta1), c2 = (T)(1 - s->beta2);                   \
        const T step = (T)(s->learning_rate / s->bias_correction1), epsilon = (T)s->epsilon;                          \
        const T correction = (T)(1 / __builtin_sqrt(s->bias_correction2));                                            \
        const T shrink = s->decoupled_decay ? (T)(1 - s->learning_rate * s->weight_decay) : (T)1;                     \
        const T decay = s->decoupled_decay ? (T)0 : (T)s->weight_decay, sign = s->maximize ? (T)-1 : (T)1;            \
        /* Two loops: a test for null inside one keeps it scalar, seventeen times slower. */                          \
        if (largest) {                                                                                                \
            for (int64_t i = 0; i < n; i++) {                                                                         \
                CK_ADAM_MOMENTS(T)                                                                                    \
                const T bound = v > largest[i] ? v : largest[i];                                                      \
                largest[i] = bound;                                                                                   \
                p[i] = w - step * m / (root(bound) * correction + epsilon);                                           \
            }                                                                                                         \
        } else {                                                                                                      \
            for (int64_t i = 0; i < n; i++) {                                                                         \
                CK_ADAM_MOMENTS(T)                                                                                    \
                p[i] = w - step * m / (root(v) * correction + epsilon);                                               \
            }                                                                                                         \
        }                                                                                                             \
    }
CK_OPTIMIZERS(f32, float, __builtin_elementwise_sqrt)
CK_OPTIMIZERS(f64, double, __builtin_elementwise_sqrt)

void ck_sgd(ck_dtype t, int64_t n, const ck_sgd_settings *s, void *parameter, const void *gradient, void *momentum) {
    if (t == CK_F32) sgd_f32(n, s, parameter, gradient, momentum);
    else sgd_f64(n, s, parameter, gradient, momentum);
}

void ck_adam(ck_dtype t, int64_t n, const ck_adam_settings *s, void *parameter, const void *gradient, void *mean,
             void *variance, void *largest) {
    if (t == CK_F32) adam_f32(n, s, parameter, gradient, mean, variance, largest);
    else adam_f64(n, s, parameter, gradient, mean, variance, largest);
}
