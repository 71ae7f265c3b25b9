/* SPDX-License-Identifier: Apache-2.0
 *
 * The operators. Each lives in a file of its own, <op>_portable.c: plain C, the reference for every faster sibling.
 * Operators know nothing of models or states: they take arrays and sizes, keep nothing, and never fail (kws_init has
 * checked the sizes). Integer operators leave int16 accumulators; a second operator turns accumulators into floats or
 * bits. That seam is where a trace looks in, and where siblings must agree exactly.
 *
 * To add a sibling, for example a NEON matmul:
 *   1. write matmul_neon.c with `void kwsi_matmul_neon(...)`, the signature of kwsi_matmul_portable, inside
 *      `#if defined(__ARM_NEON)`; declare it below, beside the portable one;
 *   2. enter it in a table in kernels.c: copy `portable`, replace that one line;
 *   3. return that table from kwsi_kernels() where the processor can run it.
 * Contract: accumulators and bits equal to the portable operator's; floats equal bit for bit, which means the same
 * operations in the same order for each output, though any number of outputs side by side. Arrays of weights and the
 * state's sections are KWS_ALIGN-aligned and no two arguments overlap; rows inside them start wherever the sizes put
 * them. The tests run every accumulator and logit against an independent reference.
 *
 * Names of sizes: C channels, H hidden, T = frames / 4, M = n_mels / 4; `words` counts 64-bit words of a row of bits.
 */
#ifndef KWSI_KERNELS_H
#define KWSI_KERNELS_H

#include "arithmetic.h"

/* out[i] = pcm[i] * window[i] */
void kwsi_window_portable(const int16_t *pcm, const float *window, int n, float *out);

/* work: n_fft real samples in, n_fft / 2 + 1 powers |X|^2 out. twiddle as in kws_frontend_t. */
void kwsi_spectrum_portable(float *work, int n_fft, const float *twiddle);

/* powers [bins] -> decibels [n_mels], through the sparse filters of kws_frontend_t. */
void kwsi_mel_portable(const float *powers, const uint16_t *first, const uint16_t *count, const float *weight,
                       int n_mels, float *decibels);

/* 5x5, stride 2, edges padded with 0, one float channel to 16 bits.
 * input [frames][n_mels], weight [5 mel x 5 time][16], bias [16] -> bits [n_mels / 2][frames / 2], bit o of channel o:
 * s = bias; s = s + weight * input over the taps in order; bit = (s >= 0). */
void kwsi_conv1_portable(const float *input, int frames, int n_mels, const float *weight, const float *bias,
                         uint16_t *bits);

/* 5x5, stride 2, edges padded with -1, 16 bits to 32 accumulators.
 * bits [2 M][2 T], weight [32][25] -> acc [M][T][32] */
void kwsi_conv2_portable(const uint16_t *bits, int m, int t, const uint16_t *weight, int16_t *acc);

/* acc [M][T][32] -> bits [T][M / 2], bit 32 * mel + channel of a row = (acc >= threshold) ^ flip.
 * threshold [32], flip: bit of each channel. */
void kwsi_conv2_bits_portable(const int16_t *acc, int m, int t, const int16_t *threshold, uint32_t flip,
                              uint64_t *bits);

/* The binary matrix product, for the linear layer, the expansion and the projection.
 * bits [rows][words], weight [outputs][words] -> acc [rows][outputs] = 64 words - 2 popcount(bits ^ weight) */
void kwsi_matmul_portable(const uint64_t *bits, const uint64_t *weight, int rows, int outputs, int words, int16_t *acc);

/* The depthwise memory: five taps over time, edges padded with -1.
 * bits [T][words], weight [5][words] -> acc [T][64 words] = sum over k of weight[k] * bits[t + k - 2] */
void kwsi_memory_portable(const uint64_t *bits, const uint64_t *weight, int t, int words, int16_t *acc);

/* x [rows][64 words], threshold [64 words] -> bits [rows][words], bit = (x >= threshold) */
void kwsi_sign_portable(const float *x, const float *threshold, int rows, int words, uint64_t *bits);

/* acc [rows][64 words], threshold [64 words], flip [words] -> bits [rows][words], bit = (acc >= threshold) ^ flip */
void kwsi_compare_portable(const int16_t *acc, const int16_t *threshold, const uint64_t *flip, int rows, int words,
                           uint64_t *bits);

/* z = scale * acc + bias; x = z >= 0 ? z : slope * z.   acc and x [rows][channels], the others [channels] */
void kwsi_prelu_portable(const int16_t *acc, const float *scale, const float *bias, const float *slope, int rows,
                         int channels, float *x);

/* As kwsi_prelu_portable, with the result added to x: the residual connection. */
void kwsi_prelu_add_portable(const int16_t *acc, const float *scale, const float *bias, const float *slope, int rows,
                             int channels, float *x);

/* logits[c] = scale[c] * sum(weight[c] * x) + bias[c].   x [n], weight [classes][n], n a multiple of 16.
 * The sum has sixteen lanes: lane l adds elements l, l + 16, ... in order; then lane l takes in lane l + 8, then + 4,
 * + 2 and + 1. */
void kwsi_classifier_portable(const float *x, int n, const int8_t *weight, int classes, const float *scale,
                              const float *bias, float *logits);

/* One implementation of every operator. */
typedef struct kwsi_kernels {
    void (*window)(const int16_t *, const float *, int, float *);
    void (*spectrum)(float *, int, const float *);
    void (*mel)(const float *, const uint16_t *, const uint16_t *, const float *, int, float *);
    void (*conv1)(const float *, int, int, const float *, const float *, uint16_t *);
    void (*conv2)(const uint16_t *, int, int, const uint16_t *, int16_t *);
    void (*conv2_bits)(const int16_t *, int, int, const int16_t *, uint32_t, uint64_t *);
    void (*matmul)(const uint64_t *, const uint64_t *, int, int, int, int16_t *);
    void (*memory)(const uint64_t *, const uint64_t *, int, int, int16_t *);
    void (*sign)(const float *, const float *, int, int, uint64_t *);
    void (*compare)(const int16_t *, const int16_t *, const uint64_t *, int, int, uint64_t *);
    void (*prelu)(const int16_t *, const float *, const float *, const float *, int, int, float *);
    void (*prelu_add)(const int16_t *, const float *, const float *, const float *, int, int, float *);
    void (*classifier)(const float *, int, const int8_t *, int, const float *, const float *, float *);
} kwsi_kernels_t;

/* The fastest set that this processor runs. */
const kwsi_kernels_t *kwsi_kernels(void);

#endif
