// Convolution as a product, for element type T with names N(name). Included once per type, after ProductTile.

enum { N(panel_stride) = CK_PANEL / sizeof(T) };

/// Elements low ..< high of a window's tap row `row`, whose first tap lies at `column`; zeros outside the image.
static void N(gather_tap_row)(const ck_gather *g, const T *image, int64_t row, int64_t column, int64_t low, int64_t high,
                              T *to) {
    for (int64_t tap = low / g->channels; low < high; tap++) {
        const int64_t end = (tap + 1) * g->channels < high ? (tap + 1) * g->channels : high;
        const int64_t place = column + tap * g->column_spacing;
        if (row < 0 || row >= g->height || place < 0 || place >= g->width) memset(to, 0, (size_t)(end - low) * sizeof(T));
        else
            memcpy(to, image + (row * g->width + place) * g->pitch + low - tap * g->channels,
                   (size_t)(end - low) * sizeof(T));
        to += end - low;
        low = end;
    }
}

/// A panel: row i holds elements low ..< high of the window of the i-th grid point from `at`.
CK_CLONES static void N(gather_panel)(const ck_gather *g, const T *source, grid_point at, int64_t count, int64_t low, int64_t high,
                            T *panel) {
    const int64_t per_row = g->tap_columns * g->channels;
    const int64_t first_tap_row = low / per_row, skipped = low - first_tap_row * per_row;
    const int64_t last_row = (g->tap_rows - 1) * g->row_spacing, last_column = (g->tap_columns - 1) * g->column_spacing;
    // Whether neighbouring taps are neighbours in memory, so that a tap row is one run.
    const int is_run = g->column_spacing == 1 && g->pitch == g->channels;
    // A short run, such as a few pixels of a grey image, is copied as a whole line where the image goes on that far:
    // what is written past the run is overwritten by the next, or lies past the panel's elements.
    const int is_short = per_row <= N(line_width);
    for (int64_t i = 0; i < count; i++, panel += N(panel_stride), at = next_point(g, at)) {
        const T *image = source + at.image * g->height * g->width * g->pitch;
        const int64_t row = at.y * g->row_step + g->first_row, column = at.x * g->column_step + g->first_column;
        const int inside = row >= 0 && row + last_row < g->height && column >= 0 && column + last_column < g->width;
        const int lines = is_short && (row + last_row) * g->width + column <
                                          (g->height * g->width - 1) - N(line_width) / g->channels;
        const T *from = image + ((row + first_tap_row * g->row_spacing) * g->width + column) * g->pitch;
        T *to = panel;
        for (int64_t k = low, r = first_tap_row, start = skipped; k < high; r++, start = 0) {
            const int64_t run = per_row - start < high - k ? per_row - start : high - k;
            if (!(inside && is_run)) N(gather_tap_row)(g, image, row + r * g->row_spacing, column, start, start + run, to);
            else if (lines) *(N(line) *)to = *(const N(line) *)(from + start);
            else memcpy(to, from + start, (size_t)run * sizeof(T));
            from += g->row_spacing * g->width * g->pitch;
            to += run;
            k += run;
        }
    }
}

/// A panel the other way round, for images of few channels that lie plane by plane: row k holds element k of the windows
/// of `count` grid points. Neighbours along a line of the grid are neighbours in the image.
CK_CLONES static void N(gather_planes)(const ck_gather *g, const T *source, grid_point first, int64_t count, T *panel,
                                       int64_t stride) {
    const int64_t plane = g->height * g->width;
    for (int64_t k = 0; k < g->tap_rows * g->tap_columns * g->channels; k++, panel += stride) {
        const int64_t c = k % g->channels, tap = k / g->channels;
        const int64_t row_shift = g->first_row + tap / g->tap_columns * g->row_spacing;
        const int64_t column_shift = g->first_column + tap % g->tap_columns * g->column_spacing;
        grid_point at = first;
        for (int64_t i = 0; i < count;) {
            const int64_t left = g->grid_width - at.x, run = left < count - i ? left : count - i;
            const int64_t row = at.y * g->row_step + row_shift;
            const T *line = source + (at.image * g->channels + c) * plane + row * g->width;
            T *to = panel + i;
            // Points whose column lies in the image; none where the row does not.
            int64_t low = 0, high = row >= 0 && row < g->height ? run : 0;
            while (low < high && (at.x + low) * g->column_step + column_shift < 0) low++;
            while (high > low && (at.x + high - 1) * g->column_step + column_shift >= g->width) high--;
            for (int64_t j = 0; j < low; j++) to[j] = 0;
            const T *from = line + at.x * g->column_step + column_shift;
            if (g->column_step == 1)
                for (int64_t j = low; j < high; j++) to[j] = from[j];
            else
                for (int64_t j = low; j < high; j++) to[j] = from[j * g->column_step];
            for (int64_t j = high; j < run; j++) to[j] = 0;
            i += run;
            at.x += run - 1;
            at = next_point(g, at);
        }
    }
}

/// y[point] = Σ over the window of source · weights (+ bias), for some grid points and blocks of outputs.
static void N(gather_product)(const ck_gather *g, const T *source, int64_t first, int64_t last, int64_t first_block,
                              int64_t last_block, int64_t outputs, const T *weights, const T *bias, const ck_placement *p,
                              T *out, T *panel) {
    const int64_t depth = g->tap_rows * g->tap_columns * g->channels;
    const int64_t deepest = CK_PANEL_DEPTH / sizeof(T);
    // Points whose planes are gathered together: as many tiles as the panel has room for.
    const int64_t together = depth <= deepest ? deepest / depth * CK_TILE_ROWS : CK_TILE_ROWS;
    T spare[CK_TILE_ROWS][N(tile_columns)];
    memset(spare, 0, sizeof spare);
    for (int64_t low = 0; low < depth; low += deepest) {
        const int64_t high = low + deepest < depth ? low + deepest : depth;
        grid_point first_at = point_at(g, first);
        for (int64_t tile = first; tile < last; tile += CK_TILE_ROWS) {
            const int64_t count = last - tile < CK_TILE_ROWS ? last - tile : CK_TILE_ROWS;
            T *place[CK_TILE_ROWS];
            grid_point at = first_at;
            for (int64_t i = 0; i < count; i++, at = next_point(g, at)) place[i] = out + offset_of_point(p, at);
            if (!g->is_planar) N(gather_panel)(g, source, first_at, count, low, high, panel);
            else if ((tile - first) % together == 0)
                N(gather_planes)(g, source, first_at, last - tile < together ? last - tile : together, panel, together);
            first_at = at;
            for (int64_t block = first_block; block < last_block; block++) {
                const int64_t column = block * N(tile_columns);
                const int64_t width = outputs - column < N(tile_columns) ? outputs - column : N(tile_columns);
                const int whole = width == N(tile_columns), starts = low == 0, adds = !starts || bias != 0;
                T *rows[CK_TILE_ROWS];
                for (int64_t i = 0; i < CK_TILE_ROWS; i++) {
                    rows[i] = i < count && whole ? place[i] + column : spare[i];
                    if (i >= count) continue;
                    if (starts && bias) memcpy(rows[i], bias + column, (size_t)width * sizeof(T));
                    else if (!starts && !whole) memcpy(rows[i], place[i] + column, (size_t)width * sizeof(T));
                }
                const T *right = weights + (block * depth + low) * N(tile_columns);
                if (g->is_planar) N(tile_of_columns)(depth, panel + (tile - first) % together, together, right, rows, adds);
                else N(tile_of_rows)(high - low, panel, N(panel_stride), right, rows, adds);
                if (whole) continue;
                for (int64_t i = 0; i < count; i++) memcpy(place[i] + column, rows[i], (size_t)width * sizeof(T));
            }
        }
    }
}

/// sums[k][output] = Σ over some grid points of window[k] · gradient[output], for elements low ..< high of the window.
static void N(gather_outer)(const ck_gather *g, const T *source, int64_t first, int64_t last, int64_t low, int64_t high,
                            int64_t first_output, int64_t last_output, const T *gradient, int64_t pitch, T *sums,
                            int64_t sums_pitch, T *panel, T *right) {
    T spare[CK_TILE_ROWS][N(tile_columns)];
    memset(spare, 0, sizeof spare);
    for (int64_t point = first; point < last; point += CK_OUTER_POINTS) {
        const int64_t count = last - point < CK_OUTER_POINTS ? last - point : CK_OUTER_POINTS;
        if (g->is_planar) N(gather_planes)(g, source, point_at(g, point), count, panel, CK_OUTER_POINTS);
        else N(gather_panel)(g, source, point_at(g, point), count, low, high, panel);
        for (int64_t column = first_output; column < last_output; column += N(tile_columns)) {
            const int64_t width = last_output - column < N(tile_columns) ? last_output - column : N(tile_columns);
            for (int64_t i = 0; i < count; i++) {
                memcpy(right + i * N(tile_columns), gradient + (point + i) * pitch + column, (size_t)width * sizeof(T));
                if (width < N(tile_columns))
                    memset(right + i * N(tile_columns) + width, 0, (size_t)(N(tile_columns) - width) * sizeof(T));
            }
            for (int64_t k = low; k < high; k += CK_TILE_ROWS) {
                T *rows[CK_TILE_ROWS];
                for (int64_t i = 0; i < CK_TILE_ROWS; i++)
                    rows[i] = k + i < high ? sums + (k + i) * sums_pitch + column : spare[i];
                if (g->is_planar) N(tile_of_rows)(count, panel + k * CK_OUTER_POINTS, CK_OUTER_POINTS, right, rows, point > first);
                else N(tile_of_columns)(count, panel + (k - low), N(panel_stride), right, rows, point > first);
            }
        }
    }
}

CK_INLINE int64_t N(lanes_of_block)(const ck_weights *w, int64_t block) {
    const int64_t left = w->outputs - block * N(tile_columns);
    return left < N(tile_columns) ? left : N(tile_columns);
}

/// Visits the weights of one block of outputs: `place` in the parameter, `k` among the window's elements. Sixteen channels
/// at a time, so that the 32 lanes they lie across stay in the first cache.
#define EACH_WEIGHT(body)                                                                                             \
    for (int64_t start = 0; start < w->channels; start += 16)                                                         \
        for (int64_t lane = 0, end = start + 16 < w->channels ? start + 16 : w->channels; lane < lanes; lane++)       \
            for (int64_t y = 0; y < w->tap_rows; y++)                                                                 \
                for (int64_t x = 0; x < w->tap_columns; x++) {                                                        \
                    const int64_t tap = w->first + (block * N(tile_columns) + lane) * w->output_stride +              \
                                        y * w->tap_row_stride + x * w->tap_column_stride;                             \
                    const int64_t first_k = (y * w->tap_columns + x) * w->channels;                                   \
                    for (int64_t c = start; c < end; c++) {                                                           \
                        const int64_t place = tap + c * w->channel_stride, k = first_k + c;                           \
                        body;                                                                                         \
                    }                                                                                                 \
                }

/// packed[block][k][lane], the product's right operand.
static void N(pack_weights)(const ck_weights *w, const T *weights, int64_t block, T *packed) {
    const int64_t depth = w->tap_rows * w->tap_columns * w->channels;
    const int64_t lanes = N(lanes_of_block)(w, block);
    packed += block * depth * N(tile_columns);
    if (lanes < N(tile_columns)) memset(packed, 0, (size_t)(depth * N(tile_columns)) * sizeof(T));
    EACH_WEIGHT(packed[k * N(tile_columns) + lane] = weights[place])
}

/// The way back for gradients: weights = Σ over parts of sums[part][k][output].
static void N(unpack_weights)(const ck_weights *w, int64_t parts, const T *sums, int64_t sums_pitch, int64_t block,
                              T *weights) {
    const int64_t depth = w->tap_rows * w->tap_columns * w->channels;
    const int64_t lanes = N(lanes_of_block)(w, block);
    sums += block * N(tile_columns);
    EACH_WEIGHT({
        T sum = sums[k * sums_pitch + lane];
        for (int64_t part = 1; part < parts; part++) sum += sums[(part * depth + k) * sums_pitch + lane];
        weights[place] = sum;
    })
}
#undef EACH_WEIGHT
