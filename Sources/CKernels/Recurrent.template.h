// Steps of recurrent layers for element type T with names N(name). Included once per type.

CK_INLINE T N(logistic)(T x) { return (T)1 / ((T)1 + N(exp)(-x)); }

CK_CLONES static void N(recurrent_step)(const ck_recurrence *r, int64_t first, int64_t last, const T *inputs,
                                        const T *state, const T *cell, T *saved, T *next_state, T *next_cell) {
    const int64_t n = r->size;
    for (int64_t row = first; row < last; row++) {
        const T *h = state + row * n, *c = cell + row * n;
        T *out = next_state + row * n, *out_cell = next_cell + row * n;
        if (r->lengths && r->lengths[row] <= r->step) {
            memcpy(out, h, (size_t)n * sizeof(T));
            if (r->cell == CK_LSTM) memcpy(out_cell, c, (size_t)n * sizeof(T));
            continue;
        }
        if (r->cell == CK_LSTM) {
            const T *x = inputs + row * 4 * n;
            T *s = saved + row * 4 * n;
            N(CK_INDEPENDENT)
            for (int64_t i = 0; i < 2 * n; i++) s[i] = N(logistic)(x[i] + s[i]);
            N(CK_INDEPENDENT)
            for (int64_t i = 2 * n; i < 3 * n; i++) s[i] = N(tanh)(x[i] + s[i]);
            N(CK_INDEPENDENT)
            for (int64_t i = 3 * n; i < 4 * n; i++) s[i] = N(logistic)(x[i] + s[i]);
            N(CK_INDEPENDENT)
            for (int64_t i = 0; i < n; i++) {
                out_cell[i] = s[n + i] * c[i] + s[i] * s[2 * n + i];
                out[i] = s[3 * n + i] * N(tanh)(out_cell[i]);
            }
        } else if (r->cell == CK_GRU) {
            const T *x = inputs + row * 3 * n;
            T *s = saved + row * 4 * n;
            N(CK_INDEPENDENT)
            for (int64_t i = 0; i < 2 * n; i++) s[i] = N(logistic)(x[i] + s[i]);
            N(CK_INDEPENDENT)
            for (int64_t i = 0; i < n; i++) {
                const T fresh = N(tanh)(x[2 * n + i] + s[i] * s[2 * n + i]);
                s[3 * n + i] = fresh;
                out[i] = fresh + s[n + i] * (h[i] - fresh);
            }
        } else {
            const T *x = inputs + row * n, *s = saved + row * n;
            if (r->cell == CK_RNN_TANH) {
                N(CK_INDEPENDENT)
                for (int64_t i = 0; i < n; i++) out[i] = N(tanh)(x[i] + s[i]);
            } else {
                CK_INDEPENDENT
                for (int64_t i = 0; i < n; i++) out[i] = x[i] + s[i] > 0 ? x[i] + s[i] : 0;
            }
        }
    }
}

CK_CLONES static void N(recurrent_gradient)(const ck_recurrence *r, int64_t first, int64_t last, const T *saved,
                                            const T *state, const T *cell, const T *next_cell, const T *g, T *carried,
                                            T *carried_cell, T *gx, T *gp) {
    const int64_t n = r->size, gates = r->cell == CK_LSTM ? 4 : r->cell == CK_GRU ? 3 : 1;
    for (int64_t row = first; row < last; row++) {
        const T *h = state + row * n, *gh = g + row * n;
        T *dh = carried + row * n, *dx = gx + row * gates * n;
        if (r->lengths && r->lengths[row] <= r->step) {
            for (int64_t i = 0; i < n; i++) dh[i] += gh[i];
            memset(dx, 0, (size_t)(gates * n) * sizeof(T));
            if (r->cell == CK_GRU) memset(gp + row * gates * n, 0, (size_t)(gates * n) * sizeof(T));
            continue;
        }
        if (r->cell == CK_LSTM) {
            const T *s = saved + row * 4 * n, *c = cell + row * n, *nc = next_cell + row * n;
            T *dc = carried_cell + row * n;
            N(CK_INDEPENDENT)
            for (int64_t i = 0; i < n; i++) {
                const T in = s[i], forget = s[n + i], fresh = s[2 * n + i], out = s[3 * n + i];
                const T gradient = gh[i] + dh[i], squashed = N(tanh)(nc[i]);
                const T d = dc[i] + gradient * out * ((T)1 - squashed * squashed);
                dx[i] = d * fresh * in * ((T)1 - in);
                dx[n + i] = d * c[i] * forget * ((T)1 - forget);
                dx[2 * n + i] = d * in * ((T)1 - fresh * fresh);
                dx[3 * n + i] = gradient * squashed * out * ((T)1 - out);
                dc[i] = d * forget;
                dh[i] = 0;
            }
        } else if (r->cell == CK_GRU) {
            const T *s = saved + row * 4 * n;
            T *dp = gp + row * 3 * n;
            CK_INDEPENDENT
            for (int64_t i = 0; i < n; i++) {
                const T reset = s[i], keep = s[n + i], product = s[2 * n + i], fresh = s[3 * n + i];
                const T gradient = gh[i] + dh[i];
                const T slope = gradient * ((T)1 - keep) * ((T)1 - fresh * fresh);
                dp[i] = dx[i] = slope * product * reset * ((T)1 - reset);
                dp[n + i] = dx[n + i] = gradient * (h[i] - fresh) * keep * ((T)1 - keep);
                dx[2 * n + i] = slope;
                dp[2 * n + i] = slope * reset;
                dh[i] = gradient * keep;
            }
        } else {
            const T *y = saved + row * n;
            if (r->cell == CK_RNN_TANH) {
                CK_INDEPENDENT
                for (int64_t i = 0; i < n; i++) dx[i] = (gh[i] + dh[i]) * ((T)1 - y[i] * y[i]);
            } else {
                CK_INDEPENDENT
                for (int64_t i = 0; i < n; i++) dx[i] = y[i] > 0 ? gh[i] + dh[i] : 0;
            }
            memset(dh, 0, (size_t)n * sizeof(T));
        }
    }
}
