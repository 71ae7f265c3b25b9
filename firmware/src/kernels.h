/* SPDX-License-Identifier: Apache-2.0
 *
 * The operators. Each lives in files of its own: <op>_portable.c is plain C, the reference; <op>_<isa>.c or .S is a
 * sibling for one instruction set. Operators know nothing of models or states: they take arrays and sizes, keep
 * nothing, and never fail (kws_init has checked the sizes).
 *
 * To add a sibling: write the file, with everything in it inside the guard of its instruction set; declare it beside
 * the others of its set (kernels_neon.h, kernels_neon_front.h, kernels_x86.h) and name it in the set's table in
 * kernels.c. Contract: the same bits as the portable operator for every
 * legal size. Integers leave no room for doubt; float operators (window, spectrum, mel, quantize) do the same
 * operations in the same order for each output, though any number of outputs side by side. Weights and the state's
 * sections are KWS_ALIGN-aligned, and no two arguments overlap.
 *
 * Names of sizes: C channels, H hidden, M = n_mels / 4, T = frames / 4 steps in time; `words` counts 64-bit words of a
 * row of bits. Steps go in tiles of eight, the last one filled up: R = T rounded up to a multiple of 8.
 *
 * Arithmetic of the residual stream x, int16:
 *     d = popcount(bits ^ weight), how many of K inputs differ
 *     v = bias - mulr(d << shift(K), scale),   v = max(v, mulr(v, slope)),   x = x + v,   saturating at 16 bits
 * with mulr the rounding product of Q15 numbers that NEON (SQRDMULH), SSSE3 (PMULHRSW) and WebAssembly have in one
 * instruction, and shift(K) the one that lifts K to the top of the 16 bits.
 */
#ifndef KWSI_KERNELS_H
#define KWSI_KERNELS_H

#include "arithmetic.h"

enum { KWSI_TILE = 8, KWSI_TAPS = KWS_KERNEL * KWS_KERNEL, KWSI_CLASS_SHIFT = 6 };

/* Per-channel numbers of an epilogue, each int16 [channels]. */
typedef struct kwsi_affine {
    const int16_t *scale; /* not -32768 */
    const int16_t *bias;  /* the value where no input differs */
    const int16_t *slope; /* PReLU's, Q15, not -32768 */
} kwsi_affine_t;

/* One frame as the network sees it: 16 zeros, the even mels, zeros up to a multiple of 16, 16 zeros, the odd mels,
 * zeros likewise. A 5-tap filter of stride 2 thus reads five runs of bytes, each side by side. */
static inline int kwsi_half_bytes(int n_mels) {
    return (n_mels / 2 + 15) / 16 * 16;
}
static inline int kwsi_row_bytes(int n_mels) {
    return 32 + 2 * kwsi_half_bytes(n_mels);
}

/* One time step of the first convolution's output: 16 bits a mel, with two zero words before the first mel and at least
 * four after the last: padding, -1 in every channel, and room for a read of eight words where five count. */
static inline int kwsi_column_words(int n_mels) {
    return (n_mels / 2 + 6 + 7) / 8 * 8;
}

/* out[i] = pcm[i] * window[i] */
typedef void kwsi_window_fn(const int16_t *pcm, const float *window, int n, float *out);

/* work [2 n_fft]: n_fft real samples in, n_fft / 2 + 1 powers 4 |X|^2 out; the rest is scratch. twiddle as in
 * kws_frontend_t. spectrum_portable.c explains the algorithm; its operations, n = n_fft / 8, with complex numbers
 * multiplied as (a + b i) (c + d i) = (a c - b d) + (b c + a d) i, each product, sum and difference rounded:
 *   1. Lane l of row m is the complex number x[8 m + l] + i x[8 m + 4 + l], l = 0..3. Each lane is transformed by
 *      decimation in frequency: while more than 8 points p remain, transforms of 8 over rows p / 8 apart, output k of
 *      the i-th multiplied by exp(-2 pi i i k / p) unless i = 0; at last transforms of the 2, 4 or 8 rows left.
 *   2. A lane's Z gives two spectra, twice as large: r = l: Z[k] + conj Z[n - k], r = l + 4: -i (Z[k] - conj Z[n - k]),
 *      k = 0 .. n / 2; for k = 0 they are 2 Re Z[0] and 2 Im Z[0].
 *   3. These are multiplied by exp(-2 pi i k r / n_fft) unless r = 0 or k = 0, and a transform of 8 over r has as its
 *      output q bin k + n q, or for q >= 4 its mirror image n (8 - q) - k; bins that both halves reach, where k is 0
 *      or n / 2, are those of the lower q. power = re re + im im.
 * A transform of 4: u = z0 + z2, v = z0 - z2, s = z1 + z3, t = z1 - z3; u + s, v - i t, u - s, v + i t.
 * A transform of 8: outputs 2 k are those of 4 over z[j] + z[j + 4]; outputs 2 k + 1 are those of 4 over differences
 * a + b i = z[j] - z[j + 4], turned: j = 0 as it is; j = 1: c (a + b) + c (b - a) i; j = 2: b - a i;
 * j = 3: c (b - a) - c (a + b) i, with c = 0.707106781f. Signs of zeros do not matter: no power shows them. */
typedef void kwsi_spectrum_fn(float *work, int n_fft, const float *twiddle);

/* Powers times four -> decibels [n_mels], through the sparse filters of kws_frontend_t. Lane l = 0..7 of a filter sums
 * weight[i] * bin[i], i = l, l + 8, ... in this order; with s[l] = lane[l] + lane[l + 4],
 * decibels = kwsi_decibels(0.25 * ((s[0] + s[1]) + (s[2] + s[3]))). */
typedef void kwsi_mel_fn(const float *powers, const uint16_t *first, const uint16_t *count, const float *weight,
                         int n_mels, float *decibels);

/* decibels [frames][n_mels] -> rows [frames][kwsi_row_bytes]: floor((decibels - offset) * scale + 0.5), saturated at 8
 * bits. */
typedef void kwsi_quantize_fn(const float *decibels, int frames, int n_mels, float offset, float scale, int8_t *rows);

/* 5x5, stride 2: rows[2 columns + 3] -> bits [columns][kwsi_column_words]; column t reads rows[2 t .. 2 t + 4].
 * weight [5 time x 5 mel][16]; bit o of a word = (sum over the taps >= threshold[o]). */
typedef void kwsi_conv1_fn(const int8_t *const *rows, int columns, int n_mels, const int8_t *weight,
                           const int16_t *threshold, uint16_t *bits);

/* 5x5, stride 2, 16 channels to 32: columns[2 steps + 3] -> bits [steps][m / 2]; step t reads columns[2 t .. 2 t + 4].
 * weight [32][5 time x 5 mel]; bit 32 * mel + o of a row = (d < below[o]), K = 400. */
typedef void kwsi_conv2_fn(const uint16_t *const *columns, int steps, int m, const uint16_t *weight,
                           const int16_t *below, uint64_t *bits);

/* One tile: bits [8][words], weight [outputs][words] -> out [8][outputs / 64], bit = (d < below) ^ flip. */
typedef void kwsi_expand_fn(const uint64_t *bits, const uint64_t *weight, int words, int outputs, const int16_t *below,
                            const uint64_t *flip, uint64_t *out);

/* One tile: bits [8][words], weight [outputs][words]; x [outputs][8] += prelu. If threshold is not null,
 * out [8][outputs / 64], bit = (x >= threshold). */
typedef void kwsi_project_fn(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                             const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out);

/* The depthwise memory, 5 taps over time, edges padded with -1: bits [R][words] of which `steps` rows count,
 * weight [5][words], oldest first; x [R / 8][64 words][8] += prelu; out [R][words], bit = (x >= threshold). */
typedef void kwsi_memory_fn(const uint64_t *bits, const uint64_t *weight, int steps, int words,
                            const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out);

/* sums[c] = sum of weight[c] * narrow(x), narrow(x) = x / 2^KWSI_CLASS_SHIFT, rounded half up and clipped to -128..127.
 * x [n], weight [classes][n], n a multiple of 512; of 64 weights in a row, |weight| of each four that lie 16 apart adds up
 * to at most 255, so that their products fit 16 bits together. */
typedef void kwsi_classifier_fn(const int16_t *x, int n, const int8_t *weight, int classes, int32_t *sums);

/* One implementation of every operator. */
typedef struct kwsi_kernels {
    const char *name;
    kwsi_window_fn *window;
    kwsi_spectrum_fn *spectrum;
    kwsi_mel_fn *mel;
    kwsi_quantize_fn *quantize;
    kwsi_conv1_fn *conv1;
    kwsi_conv2_fn *conv2;
    kwsi_expand_fn *expand;
    kwsi_project_fn *project;
    kwsi_memory_fn *memory;
    kwsi_classifier_fn *classifier;

    /* Of models with two planes, as two_planes.h says. */
    kwsi_conv1_fn *conv1_two;
    kwsi_conv2_fn *conv2_two;
    kwsi_expand_fn *expand_two;
    kwsi_project_fn *project_two;
    kwsi_memory_fn *memory_two;
} kwsi_kernels_t;

/* The reference. Siblings fall back on it for sizes that they have no path for. */
kwsi_window_fn kwsi_window_portable;
kwsi_spectrum_fn kwsi_spectrum_portable;
kwsi_mel_fn kwsi_mel_portable;
kwsi_quantize_fn kwsi_quantize_portable;
kwsi_conv1_fn kwsi_conv1_portable;
kwsi_conv2_fn kwsi_conv2_portable;
kwsi_expand_fn kwsi_expand_portable;
kwsi_project_fn kwsi_project_portable;
kwsi_memory_fn kwsi_memory_portable;
kwsi_classifier_fn kwsi_classifier_portable;

/* The fastest set that this processor runs. */
const kwsi_kernels_t *kwsi_kernels(void);

/* The set of that name, or null where this build or processor has none. */
const kwsi_kernels_t *kwsi_kernels_named(const char *name);

#endif
