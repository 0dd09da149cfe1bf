// Maps of one floating-point argument, for element type T with names N(name). Included once per type.

#define CK_MAP(op, expression)                    \
    case op:                                      \
        for (int64_t i = 0; i < n; i++) {         \
            T v = x[i];                           \
            y[i] = (expression);                  \
        }                                         \
        break;

CK_INLINE T N(sigmoid)(T v) { return (T)1 / ((T)1 + N(exp)(-v)); }
CK_INLINE T N(gelu)(T v) {
    T e;
    return v * N(normal_cdf)(v, &e);
}

CK_CLONES static void N(unary)(ck_unary_op op, int64_t n, const T *restrict x, T *restrict y) {
    switch (op) {
        CK_MAP(CK_NEGATE, -v)
        CK_MAP(CK_EXP, N(exp)(v))
        CK_MAP(CK_LOG, N(log)(v))
        CK_MAP(CK_SQRT, N(sqrt)(v))
        CK_MAP(CK_RSQRT, (T)1 / N(sqrt)(v))
        CK_MAP(CK_TANH, N(tanh)(v))
        CK_MAP(CK_SIGMOID, N(sigmoid)(v))
        CK_MAP(CK_RELU, v > 0 ? v : (v != v ? v : (T)0))
        CK_MAP(CK_GELU, N(gelu)(v))
        CK_MAP(CK_SILU, v * N(sigmoid)(v))
        CK_MAP(CK_ABS, v < 0 ? -v : v)
        CK_MAP(CK_SQUARE, v * v)
        CK_MAP(CK_RECIPROCAL, (T)1 / v)
        CK_MAP(CK_SIN, N(sin)(v))
        CK_MAP(CK_COS, N(cos)(v))
        CK_MAP(CK_SOFTPLUS, (v > 0 ? v : (T)0) + N(log1p)(N(exp)(v > 0 ? -v : v)))
    }
}
#undef CK_MAP

// `v` is the input, `w` the output, `d` the incoming gradient.
// The result may be written over the incoming gradient.
#define CK_MAP_WITH(pragma, op, expression)       \
    case op:                                      \
        pragma                                    \
        for (int64_t i = 0; i < n; i++) {         \
            T v = x[i], w = y[i], d = g[i];       \
            (void)v;                              \
            (void)w;                              \
            gx[i] = (expression);                 \
        }                                         \
        break;
#define CK_MAP(op, expression) CK_MAP_WITH(N(CK_INDEPENDENT), op, expression)

CK_INLINE T N(gelu_slope)(T v) {
    T e, phi = N(normal_cdf)(v, &e);
    return phi + v * e * (T)0.39894228040143267794;
}
CK_INLINE T N(silu_slope)(T v) {
    T s = N(sigmoid)(v);
    return s * ((T)1 + v * ((T)1 - s));
}

/// GELU and its derivative in one pass.
CK_CLONES static void N(gelu_and_slope)(int64_t n, const T *restrict x, T *restrict y, T *restrict slope) {
    for (int64_t i = 0; i < n; i++) {
        T e;
        const T v = x[i], phi = N(normal_cdf)(v, &e);
        y[i] = v * phi;
        slope[i] = phi + v * e * (T)0.39894228040143267794;
    }
}

CK_CLONES static void N(multiply_in_place)(int64_t n, const T *restrict x, T *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] *= x[i];
}

CK_CLONES static void N(unary_gradient)(ck_unary_op op, int64_t n, const T *x, const T *y, const T *g, T *gx) {
    switch (op) {
        CK_MAP(CK_NEGATE, -d)
        CK_MAP(CK_EXP, d * w)
        CK_MAP(CK_LOG, d / v)
        CK_MAP(CK_SQRT, d / ((T)2 * w))
        CK_MAP(CK_RSQRT, (T)-0.5 * d * w * w * w)
        CK_MAP(CK_TANH, d * ((T)1 - w * w))
        CK_MAP(CK_SIGMOID, d * w * ((T)1 - w))
        CK_MAP(CK_RELU, w > 0 ? d : (T)0)
        CK_MAP(CK_GELU, d * N(gelu_slope)(v))
        CK_MAP(CK_SILU, d * N(silu_slope)(v))
        CK_MAP(CK_ABS, v > 0 ? d : (v < 0 ? -d : (T)0))
        CK_MAP(CK_SQUARE, (T)2 * v * d)
        CK_MAP(CK_RECIPROCAL, -d * w * w)
        CK_MAP_WITH(, CK_SIN, d * N(cos)(v))
        CK_MAP_WITH(, CK_COS, -d * N(sin)(v))
        CK_MAP(CK_SOFTPLUS, d * N(sigmoid)(v))
    }
}
#undef CK_MAP
#undef CK_MAP_WITH

CK_CLONES static void N(clamp)(int64_t n, T lower, T upper, const T *x, T *y) {
    CK_INDEPENDENT
    for (int64_t i = 0; i < n; i++) {
        T v = x[i];
        v = v < lower ? lower : v;
        y[i] = v > upper ? upper : v;
    }
}
