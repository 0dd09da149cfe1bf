// Peaks and sums of exponentials of a row, for element type T with names N(name). Included once per type and file. See
// Note [Lanes].

// A row's end that does not fill a vector is done as one vector with idle lanes: ten scalar exponentials are slow, and ten
// classes common. In a row of at least CK_LANES columns it is the last CK_LANES columns, whose first lanes have had their
// turn; a shorter row is gathered, its idle lanes from its first column.

/// A row of fewer than CK_LANES columns. Not through a copy on the stack: loading what was just stored in parts stalls.
CK_INLINE void N(load_short)(int64_t n, const T *x, N(lanes) *v) {
    const int32_t count = (int32_t)n;
#pragma clang loop unroll(full)
    for (int j = 0; j < CK_LANES; j++) (*v)[j] = x[j < count ? j : 0];
}

/// The largest element, x[0] if that is NaN; other NaNs are left for the caller's arithmetic to find.
CK_INLINE T N(peak)(int64_t n, const T *x) {
    N(lanes) best = x[0], v = x[0];
    if (n < CK_LANES) {
        N(load_short)(n, x, &v);
        best = v > best ? v : best;
    } else {
        for (int64_t i = 0; i + CK_LANES <= n; i += CK_LANES) {
            memcpy(&v, x + i, sizeof v);
            best = v > best ? v : best;
        }
        memcpy(&v, x + n - CK_LANES, sizeof v);
        best = v > best ? v : best;
    }
    const N(lanes8) eight = best.lo > best.hi ? best.lo : best.hi;
    const N(lanes4) four = eight.lo > eight.hi ? eight.lo : eight.hi;
    const N(lanes2) two = four.lo > four.hi ? four.lo : four.hi;
    return two.lo > two.hi ? two.lo : two.hi;
}

/// The sum of exp(scale · (x − peak)), by lanes; the exponentials are stored in `y` unless it is null, also in place.
CK_INLINE T N(exponential_sum)(int64_t n, T scale, T peak, const T *x, T *y) {
    const N(lanes) number = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, zero = (T)0;
    N(lanes) sum = zero, v;
    int64_t i = 0;
    for (; i + CK_LANES <= n; i += CK_LANES) {
        memcpy(&v, x + i, sizeof v);
        v = scale * (v - peak);
        N(exp_lanes)(&v);
        sum += v;
        if (y) memcpy(y + i, &v, sizeof v);
    }
    if (n < CK_LANES) {
        N(load_short)(n, x, &v);
        v = scale * (v - peak);
        N(exp_lanes)(&v);
        sum = number < (T)n ? v : zero;
        if (y) for (int64_t j = 0; j < n; j++) y[j] = v[j];
    } else if (i < n) {
        N(lanes) done = zero;
        if (y) memcpy(&done, y + n - CK_LANES, sizeof done);
        memcpy(&v, x + n - CK_LANES, sizeof v);
        v = scale * (v - peak);
        N(exp_lanes)(&v);
        const T first = (T)(CK_LANES - (n - i));
        sum += number < first ? zero : v;
        done = number < first ? done : v;
        if (y) memcpy(y + n - CK_LANES, &done, sizeof done);
    }
    const N(lanes8) eight = sum.lo + sum.hi;
    const N(lanes4) four = eight.lo + eight.hi;
    const N(lanes2) two = four.lo + four.hi;
    return two.lo + two.hi;
}
