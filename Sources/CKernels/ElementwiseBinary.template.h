// Maps of two arguments, for any element type T with names N(name). Included once per type.

// Three loops, since a stride known to be 0 or 1 vectorises and a variable one does not.
#define CK_LOOP(expression)                                                                \
    if (sa == 1 && sb == 1) {                                                              \
        for (int64_t i = 0; i < n; i++) { T u = a[i], v = b[i]; out[i] = (expression); }   \
    } else if (sa == 1) {                                                                  \
        const T v = b[0];                                                                  \
        for (int64_t i = 0; i < n; i++) { T u = a[i]; out[i] = (expression); }             \
    } else if (sb == 1) {                                                                  \
        const T u = a[0];                                                                  \
        for (int64_t i = 0; i < n; i++) { T v = b[i]; out[i] = (expression); }             \
    } else {                                                                               \
        const T u = a[0], v = b[0];                                                        \
        for (int64_t i = 0; i < n; i++) out[i] = (expression);                             \
    }

#ifdef CK_INTEGER
/// Integer power by squaring; a negative exponent gives 0, as integer division would.
CK_INLINE T N(power)(T base, T exponent) {
    if ((int64_t)exponent < 0) return 0;
    T result = 1;
    for (T e = exponent; e; e = (T)(e >> 1)) {
        if (e & 1) result = (T)(result * base);
        base = (T)(base * base);
    }
    return result;
}
CK_INLINE T N(divide)(T u, T v) { return v == 0 ? 0 : (T)(u / v); }
#else
CK_INLINE T N(power)(T base, T exponent) { return N(pow)(base, exponent); }
CK_INLINE T N(divide)(T u, T v) { return u / v; }
#endif

CK_CLONES static void N(binary)(ck_binary_op op, int64_t n, const T *a, int64_t sa, const T *b, int64_t sb, T *out) {
    switch (op) {
    case CK_ADD: CK_LOOP((T)(u + v)) break;
    case CK_SUBTRACT: CK_LOOP((T)(u - v)) break;
    case CK_MULTIPLY: CK_LOOP((T)(u * v)) break;
    case CK_DIVIDE: CK_LOOP(N(divide)(u, v)) break;
    // A NaN on either side wins, as in PyTorch.
    case CK_MAXIMUM: CK_LOOP(u != u ? u : (v != v ? v : (u > v ? u : v))) break;
    case CK_MINIMUM: CK_LOOP(u != u ? u : (v != v ? v : (u < v ? u : v))) break;
    case CK_POWER: CK_LOOP(N(power)(u, v)) break;
    }
}
#undef CK_LOOP

#define CK_LOOP(expression)                              \
    for (int64_t i = 0; i < n; i++) {                    \
        const T u = a[i * sa], v = b[i * sb];            \
        out[i] = (expression);                           \
    }

CK_CLONES static void N(compare)(ck_compare_op op, int64_t n, const T *a, int64_t sa, const T *b, int64_t sb,
                                 uint8_t *out) {
    switch (op) {
    case CK_EQUAL: CK_LOOP(u == v) break;
    case CK_LESS: CK_LOOP(u < v) break;
    case CK_LESS_EQUAL: CK_LOOP(u <= v) break;
    }
}
#undef CK_LOOP

CK_CLONES static void N(select)(int64_t n, const uint8_t *mask, const T *a, int64_t sa, const T *b, int64_t sb, T *out) {
    // The load of the side not taken is harmless, and without it the loop would have branches.
    if (sa == 1 && sb == 1) {
        for (int64_t i = 0; i < n; i++) {
            const T u = a[i], v = b[i];
            out[i] = mask[i] ? u : v;
        }
    } else {
        for (int64_t i = 0; i < n; i++) out[i] = mask[i] ? a[i * sa] : b[i * sb];
    }
}

CK_CLONES static void N(affine)(int64_t n, const T *x, T scale, T shift, T *y) {
    CK_INDEPENDENT
    for (int64_t i = 0; i < n; i++) y[i] = (T)(x[i] * scale + shift);
}

CK_CLONES static void N(accumulate)(int64_t n, T scale, const T *restrict x, T *restrict y) {
    for (int64_t i = 0; i < n; i++) y[i] = (T)(y[i] + x[i] * scale);
}

CK_CLONES static void N(fill)(int64_t n, T value, T *y) {
    for (int64_t i = 0; i < n; i++) y[i] = value;
}
