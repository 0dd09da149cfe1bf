#pragma once
// The hot loops. Contiguous pointers in, contiguous pointers out; no allocation, no state, no threads: callers cut the
// work into pieces whose bounds depend on sizes alone, so that results do not depend on the number of threads.
// Each kernel is compiled for SSE2, AVX2+FMA and AVX-512, and the loader picks one (`target_clones`).
#include <stdint.h>

typedef enum { CK_F32 = 0, CK_F64 = 1, CK_I64 = 2, CK_U8 = 3, CK_BF16 = 4 } ck_dtype;

// Elementwise.hc: y[i] = f(x[i]) ------------------------------------------------------------------------------------

typedef enum {
    CK_NEGATE, CK_EXP, CK_LOG, CK_SQRT, CK_RSQRT, CK_TANH, CK_SIGMOID, CK_RELU, CK_GELU, CK_SILU, CK_ABS, CK_SQUARE,
    CK_RECIPROCAL, CK_SIN, CK_COS, CK_SOFTPLUS
} ck_unary_op;

void ck_unary(ck_unary_op op, ck_dtype t, int64_t n, const void *x, void *y);
/// gx[i] = g[i] · f'(x[i]); y = f(x) is given where it makes the derivative cheaper.
/// gx may be g.
void ck_unary_gradient(ck_unary_op op, ck_dtype t, int64_t n, const void *x, const void *y, const void *g, void *gx);
/// y[i] = gelu(x[i]) and slope[i] = gelu'(x[i]).
void ck_gelu_and_slope(ck_dtype t, int64_t n, const void *x, void *y, void *slope);
/// y[i] *= x[i].
void ck_multiply_in_place(ck_dtype t, int64_t n, const void *x, void *y);

typedef enum { CK_ADD, CK_SUBTRACT, CK_MULTIPLY, CK_DIVIDE, CK_MAXIMUM, CK_MINIMUM, CK_POWER } ck_binary_op;
/// out[i] = a[i·sa] op b[i·sb]; the strides sa and sb are 0 or 1.
void ck_binary(ck_binary_op op, ck_dtype t, int64_t n, const void *a, int64_t sa, const void *b, int64_t sb, void *out);

typedef enum { CK_EQUAL, CK_LESS, CK_LESS_EQUAL } ck_compare_op;
/// out[i] = 1 where a[i·sa] op b[i·sb], else 0, as bytes.
void ck_compare(ck_compare_op op, ck_dtype t, int64_t n, const void *a, int64_t sa, const void *b, int64_t sb,
                uint8_t *out);
/// out[i] = mask[i] ? a[i·sa] : b[i·sb].
void ck_select(ck_dtype t, int64_t n, const uint8_t *mask, const void *a, int64_t sa, const void *b, int64_t sb, void *out);

/// y[i] = scale · x[i] + shift.
void ck_affine(ck_dtype t, int64_t n, const void *x, double scale, double shift, void *y);
/// y[i] += scale · x[i].
void ck_accumulate(ck_dtype t, int64_t n, double scale, const void *x, void *y);
/// y[i] = x[i], converted between element types.
void ck_convert(ck_dtype from, ck_dtype to, int64_t n, const void *x, void *y);
void ck_fill(ck_dtype t, int64_t n, double value, void *y);
/// Copies a strided block of `rank` dimensions into contiguous memory; strides in elements, non-negative.
void ck_gather_strided(int64_t element_size, int32_t rank, const int64_t *shape, const int64_t *strides, const void *x,
                       void *y);

// Matrix products -----------------------------------------------------------------------------------------------------

/// What a causal mask leaves of a product: row i of a block of scores sees the columns up to i + offset. What lies beyond
/// is left as it is in the result, and taken for zeros in A (in a transposed A, columns see rows), tile by tile.
typedef enum { CK_WHOLE, CK_CAUSAL_RESULT, CK_CAUSAL_A, CK_CAUSAL_TRANSPOSED_A } ck_causal;
/// C = A · B (+ C, or + bias in each row), or max(0, that) where `rectify`; A and C row-major with `leading` elements
/// between rows, a transposed A stored [inner, rows]. B is packed, panel after panel.
typedef struct {
    int64_t rows, columns, inner;
    const float *a, *panels, *bias;
    int64_t a_leading;
    int32_t a_transposed, add, rectify;
    float *c;
    int64_t c_leading;
    ck_causal causal;
    int64_t offset;
} ck_product;
/// Rows of C that are made at once, and columns of a panel of B.
#define CK_PRODUCT_TILE 14
#define CK_PRODUCT_PANEL 32
/// Whether this CPU can run the next two.
int32_t ck_has_products(void);
/// Packs `columns` columns of B, of which each panel has `inner` rows in all, some of them: `count` from `b` and `out` on.
/// A transposed B is stored [columns, inner].
void ck_pack_panels_f32(int64_t columns, int64_t inner, int64_t count, const float *b, int64_t leading, int32_t transposed,
                        float *out);
void ck_multiply_f32(const ck_product *product);

// Reductions -------------------------------------------------------------------------------------------------------

typedef enum { CK_SUM, CK_MAX, CK_MIN } ck_reduce_op;
/// out[r] = reduction over c of x[r, c].
void ck_reduce_rows(ck_reduce_op op, ck_dtype t, int64_t rows, int64_t columns, const void *x, void *out);
/// out[c] = sum over r of x[r, c], rows added in order.
void ck_sum_columns(ck_dtype t, int64_t rows, int64_t columns, const void *x, void *out);
/// gx[r, c] = y[r, c] > 0 ? g[r, c] : 0, and out[c] the sum over r of it. gx may be g.
void ck_relu_gradient_sums(ck_dtype t, int64_t rows, int64_t columns, const void *y, const void *g, void *gx, void *out);
/// out[r] = the first c at which x[r, c] is largest (or smallest when `minimum`).
void ck_arg_rows(ck_dtype t, int32_t minimum, int64_t rows, int64_t columns, const void *x, int64_t *out);
/// Sum of squares in double precision: blocks of 256 in a fixed order.
double ck_square_sum(ck_dtype t, int64_t n, const void *x);
/// 1 when every element is finite.
int32_t ck_all_finite(ck_dtype t, int64_t n, const void *x);

// Rows: softmax, layer norm, cross entropy ----------------------------------------------------------------------------

void ck_softmax_rows(ck_dtype t, int32_t logarithm, int64_t rows, int64_t columns, const void *x, void *y);
/// Gradient of softmax (or its logarithm) from its output y.
void ck_softmax_rows_gradient(ck_dtype t, int32_t logarithm, int64_t rows, int64_t columns, const void *y, const void *g,
                              void *gx);

/// loss[r] = logsumexp(x[r]) − Σ target · x, with labels (−1-free; a label equal to `ignored` gives 0) and smoothing.
/// The log-sum-exp of a row is its peak (largest x) plus its log_sum.
void ck_cross_entropy(ck_dtype t, int64_t rows, int64_t columns, const void *x, const int64_t *labels, int64_t ignored,
                      double smoothing, void *peak, void *log_sum, void *loss);
/// gx[r, c] = scale · (softmax(x[r])[c] − target[r, c]).
void ck_cross_entropy_gradient(ck_dtype t, int64_t rows, int64_t columns, const void *x, const void *peak,
                               const void *log_sum, const int64_t *labels, int64_t ignored, double smoothing,
                               double scale, void *gx);

/// y = (x − mean)/sqrt(variance + epsilon) · weight + bias by rows; weight and bias may be null. Without room for means,
/// the mean counts as 0: root mean square normalisation.
void ck_layer_norm(ck_dtype t, int64_t rows, int64_t columns, double epsilon, const void *x, const void *weight,
                   const void *bias, void *y, void *mean, void *inverse_deviation);
/// gx for these rows, also over g; gw and gb (may be null) are overwritten with this block's sums over its rows.
void ck_layer_norm_gradient(ck_dtype t, int64_t rows, int64_t columns, const void *x, const void *weight, const void *mean,
                            const void *inverse_deviation, const void *g, void *gx, void *gw, void *gb);

// Attention: a block of scores, [rows, columns] of queries and keys; row r sees columns 0 … r + offset ---------------

/// scores become exp(scale · (score − peak)), 0 where unseen; peaks and sums go on from the blocks before, by whose old
/// peaks the rows of `out` (of `size` elements, `stride` apart) are scaled. See Note [Blocks of attention].
void ck_attention_weights(ck_dtype t, int64_t rows, int64_t columns, int64_t offset, double scale, int32_t is_first,
                          void *scores, void *peaks, void *sums, int64_t size, void *out, int64_t stride);
/// The rows of `out` over their sums; the sums become their inverses.
void ck_attention_finish(ck_dtype t, int64_t rows, void *sums, int64_t size, void *out, int64_t stride);
/// out[r] = a[r] · b[r].
void ck_attention_dots(ck_dtype t, int64_t rows, int64_t size, const void *a, int64_t stride_a, const void *b,
                       int64_t stride_b, void *out);
/// scores become weights, and gradients of weights become gradients of scores; `dots` are those of result and gradient.
void ck_attention_gradient(ck_dtype t, int64_t rows, int64_t columns, int64_t offset, double scale, const void *peaks,
                           const void *inverses, const void *dots, void *scores, void *gradients);

// Batch norm over x[rows, channels] ---------------------------------------------------------------------------------------

/// Per channel, the mean of these rows and the sum of squared distances from it.
void ck_channel_moments(ck_dtype t, int64_t rows, int64_t channels, const void *x, double *mean, double *squares);
/// y = (x − mean) · scale + shift; rectified, the larger of that and 0.
void ck_channel_affine(ck_dtype t, int64_t rows, int64_t channels, const void *x, const double *mean, const double *scale,
                       const double *shift, int32_t rectify, void *y);
/// Per channel, the sums of g and of g · (x − mean); where y was rectified, 0 stands for g wherever y is not positive.
void ck_channel_gradient_sums(ck_dtype t, int64_t rows, int64_t channels, const void *x, const double *mean,
                              const double *scale, const double *shift, int32_t rectified, const void *g, double *sum,
                              double *product);
/// gx = scale · g + slope · (x − mean) + offset, with such a g; gx may be g.
void ck_channel_gradient(ck_dtype t, int64_t rows, int64_t channels, const void *x, const double *mean,
                         const double *scale, const double *shift, int32_t rectified, const void *g, const double *slope,
                         const double *offset, void *gx);

// Pooling, one image at a time, channels innermost -----------------------------------------------------------------------

typedef struct {
    int64_t channels, height, width;              // of the image
    int64_t kernel_height, kernel_width;
    int64_t stride_height, stride_width, padding_height, padding_width, dilation_height, dilation_width;
    int64_t out_height, out_width;
} ck_window;

/// out = max over the window; winner = the first tap that had it.
void ck_max_pool(ck_dtype t, const ck_window *w, const void *image, void *out, uint16_t *winner);
/// gx = g at the winning taps, 0 elsewhere.
void ck_max_pool_gradient(ck_dtype t, const ck_window *w, const void *g, const uint16_t *winner, void *gx);
void ck_average_pool(ck_dtype t, const ck_window *w, const void *image, void *out);
void ck_average_pool_gradient(ck_dtype t, const ck_window *w, const void *g, void *gx);

// Convolution as a product --------------------------------------------------------------------------------------------

/// The windows of an image tensor, channels innermost, that the points of a grid see.
///
/// Tap (r, c) of grid point (y, x) is pixel (y · row_step + first_row + r · row_spacing, …); outside the image it is 0.
typedef struct {
    int64_t height, width, pitch;                 // of the source; pitch is the distance between pixels
    int64_t channels;                             // read of each pixel
    int64_t grid_height, grid_width, row_step, column_step;
    int64_t tap_rows, first_row, row_spacing;
    int64_t tap_columns, first_column, column_spacing;
    int32_t is_planar;                            // the source lies plane by plane; windows fit one panel
} ck_gather;

/// Where the rows of a grid lie in an image tensor: point (y, x) is pixel (first_row + y · row_step, …).
typedef struct {
    int64_t height, width, pitch;
    int64_t first_row, row_step, first_column, column_step;
} ck_placement;

/// Weights as a right operand: element (output, tap row, tap column, channel) by strides, which may be negative.
typedef struct {
    int64_t outputs, tap_rows, tap_columns, channels;
    int64_t first, output_stride, tap_row_stride, tap_column_stride, channel_stride;
} ck_weights;

/// Outputs in a block of packed weights.
int64_t ck_product_columns(ck_dtype t);
/// The most elements of a window that `ck_gather_outer` takes at once.
int64_t ck_panel_depth(ck_dtype t);
/// packed[block][k][lane]: one block of outputs, k over tap rows, tap columns and channels; missing lanes are 0.
void ck_pack_weights(ck_dtype t, const ck_weights *w, const void *weights, int64_t block, void *packed);
/// The way back, for one block of outputs: weight = Σ over parts of sums[part][k][output], parts in order.
void ck_unpack_weights(ck_dtype t, const ck_weights *w, int64_t parts, const void *sums, int64_t sums_pitch, int64_t block,
                       void *weights);
/// out[point] = window · weights (+ bias, may be null) for grid points first ..< last, counted over images, and blocks
/// first_block ..< last_block of `outputs`.
void ck_gather_product(ck_dtype t, const ck_gather *g, const void *source, int64_t first, int64_t last,
                       int64_t first_block, int64_t last_block, int64_t outputs, const void *weights, const void *bias,
                       const ck_placement *p, void *out);
/// sums[k][output] = Σ window[k] · gradient[output] over grid points first ..< last, for elements low ..< high of the
/// window (at most ck_panel_depth) and some outputs; a row of sums has room for whole blocks.
void ck_gather_outer(ck_dtype t, const ck_gather *g, const void *source, int64_t first, int64_t last, int64_t low,
                     int64_t high, int64_t first_output, int64_t last_output, const void *gradient, int64_t pitch,
                     void *sums, int64_t sums_pitch);

// Recurrent layers ------------------------------------------------------------------------------------------------------

typedef enum { CK_RNN_TANH, CK_RNN_RELU, CK_LSTM, CK_GRU } ck_recurrent_cell;

/// A step of a recurrent layer over a batch. Rows whose length does not exceed `step` keep their state.
typedef struct {
    ck_recurrent_cell cell;
    /// Elements of a row's state.
    int64_t size;
    int64_t step;
    /// One for each row; null when all rows have the step.
    const int64_t *lengths;
} ck_recurrence;

/// The next states of rows first ..< last, from the products of the inputs (x) and of the states (in `saved`).
///
/// Gates lie side by side as in PyTorch. In `saved` the products are replaced by what the gradient needs: i f g o for
/// LSTM; r z · n for GRU, whose rows are four states wide, the product of the state's third part between z and n. For
/// the others `saved` is `next_state`. Cells are only touched for LSTM.
void ck_recurrent_step(const ck_recurrence *r, ck_dtype t, int64_t first, int64_t last, const void *inputs,
                       const void *state, const void *cell, void *saved, void *next_state, void *next_cell);
/// Gradients of both products, gx and gp (written for GRU only: the others' are the same). `carried` comes in as the
/// gradient of the next state and goes out as that of the state without the part through the product; `carried_cell`
/// likewise.
void ck_recurrent_gradient(const ck_recurrence *r, ck_dtype t, int64_t first, int64_t last, const void *saved,
                           const void *state, const void *cell, const void *next_cell, const void *g, void *carried,
                           void *carried_cell, void *gx, void *gp);

// Convolution by Winograd's filtering: 3 × 3 windows one step apart, channels and outputs in multiples of 16 ---------------
//
// A patch is 4 × 4 results; patches are counted over images. `w` describes the convolution, source and out lie channels
// last. Transformed filters lie as packed[36 points][block of 32 outputs][channel][lane].

int64_t ck_winograd_patches(const ck_window *w, int64_t batch);
/// Transforms the filters of one block of outputs.
void ck_winograd_pack(const ck_weights *w, const float *weights, int64_t block, float *packed);
/// Filters' gradients of one block of outputs from sums[part][36 points][block][channel][lane], parts added in order.
void ck_winograd_unpack(const ck_weights *w, int64_t parts, const float *sums, int64_t block, float *weights);
/// Floats of scratch memory for that many patches at once.
int64_t ck_winograd_product_scratch(const ck_window *w, int64_t patches);
/// Results of patches first ..< last for some blocks of outputs; bias may be null.
void ck_winograd_product(const ck_window *w, const float *source, int64_t first, int64_t last, int64_t first_block,
                         int64_t last_block, int64_t outputs, const float *packed, const float *bias, float *out,
                         float *scratch);
int64_t ck_winograd_outer_scratch(int64_t channels, int64_t outputs);
/// sums[36 points][block][channel][lane] = Σ over patches of input · gradient, for some channels and blocks of outputs.
void ck_winograd_outer(const ck_window *w, const float *source, const float *gradient, int64_t outputs, int64_t first,
                       int64_t last, int64_t first_channel, int64_t last_channel, int64_t first_block, int64_t last_block,
                       float *sums, float *scratch);

// Tables and random numbers ---------------------------------------------------------------------------------------------

/// out[i] = table[index[i]] for rows of `row_bytes`.
void ck_take_rows(int64_t n, int64_t row_bytes, const void *table, const int64_t *index, void *out);
/// table[index[i]] += g[i], i ascending.
void ck_add_rows(ck_dtype t, int64_t n, int64_t columns, const void *g, const int64_t *index, void *table);

/// Philox 4×32-10 (Salmon et al., SC 2011): block `b` of four words for key and counter; out holds 4·blocks words.
void ck_philox(uint64_t key, uint64_t stream, uint64_t first_block, int64_t blocks, uint32_t *out);
/// Normal numbers of mean 0: number i is a function of words i and i ± 1 of the stream, which make a pair.
void ck_normals(int64_t n, float deviation, uint64_t key, uint64_t stream, uint64_t first_block, float *y);
/// Uniform numbers from −bound to bound, of 53 random bits each: number i is a function of words 2i and 2i + 1.
void ck_uniforms(int64_t n, double bound, uint64_t key, uint64_t stream, uint64_t first_block, float *y);
/// y = x · mask / (1 − p); mask[i] = 1 with probability 1 − p, from word i of the stream.
void ck_dropout(ck_dtype t, int64_t n, double p, uint64_t key, uint64_t stream, uint64_t first_block, const void *x,
                void *y, uint8_t *mask);
/// gx = g · mask · scale.
void ck_dropout_gradient(ck_dtype t, int64_t n, double scale, const uint8_t *mask, const void *g, void *gx);

// Optimizers, over flat storage ---------------------------------------------------------------------------------------

typedef struct {
    double learning_rate, momentum, dampening, weight_decay;
    int32_t nesterov, maximize, first_step;
} ck_sgd_settings;
void ck_sgd(ck_dtype t, int64_t n, const ck_sgd_settings *s, void *parameter, const void *gradient, void *momentum);

typedef struct {
    double learning_rate, beta1, beta2, epsilon, weight_decay;
    double bias_correction1, bias_correction2;     // 1 − beta^step
    int32_t decoupled_decay, maximize;
} ck_adam_settings;
/// `largest` (AMSGrad) may be null.
void ck_adam(ck_dtype t, int64_t n, const ck_adam_settings *s, void *parameter, const void *gradient, void *mean,
             void *variance, void *largest);
void ck_clamp(ck_dtype t, int64_t n, double lower, double upper, const void *x, void *y);

// Products of bfloat16 operands --------------------------------------------------------------------------------------

// The tile that stays in registers; packed operands are padded to whole panels.
#define CK_PANEL_ROWS 12
#define CK_PANEL_COLUMNS 32
/// y[i] = the bfloat16 number nearest to x[i], as a float32.
void ck_round_bf16(int64_t n, const float *x, float *y);
/// master[i] = values[i] wherever the bfloat16 value is not the rounded master.
void ck_adopt_bf16(int64_t n, const void *values, void *master);
/// 1 when the CPU multiplies bfloat16 numbers itself (AVX512_BF16).
int32_t ck_has_bf16_products(void);
/// Rounds lines of `inner` numbers, float32 or bfloat16, to bfloat16 and packs them for a product: rows of a in panels of
/// CK_PANEL_ROWS, or columns of b (`of_b`) in panels of CK_PANEL_COLUMNS, each panel `pairs` times its width words of 32 bits.
/// A line is `dense`, and its neighbour `apart` elements away; or lines are neighbours and their next elements `apart`.
void ck_pack_bf16(ck_dtype t, int32_t of_b, int32_t dense, int64_t lines, int64_t inner, int64_t pairs, const void *x,
                  int64_t apart, void *out);
/// c = a · b from packed operands, added to the rows at `start` unless it is null: c itself, or one row of biases (then
/// `start_leading` is 0). `emulate` keeps to instructions that every CPU has.
void ck_multiply_bf16(int32_t emulate, int64_t rows, int64_t columns, int64_t inner, const void *a, const void *b,
                      const float *start, int64_t start_leading, float *c, int64_t leading);
