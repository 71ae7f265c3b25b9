/* SPDX-License-Identifier: Apache-2.0
 *
 * Differences of bits: what every binary operator counts.
 */
#ifndef KWSI_SUMS_H
#define KWSI_SUMS_H

#include "kernels.h"

/* How many of 64 * words inputs differ. */
static inline int kwsi_differences(const uint64_t *a, const uint64_t *b, int words) {
    int count = 0;
    for (int i = 0; i < words; i++) {
        count += kwsi_popcount(a[i] ^ b[i]);
    }
    return count;
}

/* The 25 taps of mel output `mel`, from five columns of `words` words a plane. */
static inline void kwsi_patch_of_plane(const uint16_t *const *columns, int words, int plane, int mel, uint16_t *patch) {
    for (int i = 0; i < KWS_KERNEL; i++) {
        memcpy(patch + i * KWS_KERNEL, columns[i] + plane * words + 2 * mel, sizeof *patch * KWS_KERNEL);
    }
}

static inline void kwsi_patch(const uint16_t *const *columns, int mel, uint16_t *patch) {
    kwsi_patch_of_plane(columns, 0, 0, mel, patch);
}

/* How many of 25 * 16 inputs differ: six words of four taps, and one tap. */
static inline int kwsi_patch_differences(const uint16_t *a, const uint16_t *b) {
    uint64_t words_a[6], words_b[6];
    memcpy(words_a, a, sizeof words_a);
    memcpy(words_b, b, sizeof words_b);
    return kwsi_differences(words_a, words_b, 6) + kwsi_popcount((uint64_t)a[KWSI_TAPS - 1] ^ b[KWSI_TAPS - 1]);
}

/* Differing taps of 64 channels at one step, as three-bit numbers whose bits lie in three words: a full adder takes
 * three taps at once. Steps outside the window are padding, bits 0. */
static inline void kwsi_memory_planes(const uint64_t *bits, const uint64_t *weight, int steps, int words, int step,
                                      int word, uint64_t planes[3]) {
    uint64_t differ[KWS_KERNEL];
    for (int k = 0; k < KWS_KERNEL; k++) {
        int at = step + k - KWS_KERNEL / 2;
        differ[k] = (at >= 0 && at < steps ? bits[at * words + word] : 0) ^ weight[k * words + word];
    }
    uint64_t ones = differ[0] ^ differ[1] ^ differ[2];
    uint64_t carry = (differ[0] & differ[1]) | (differ[2] & (differ[0] ^ differ[1]));
    uint64_t rest = (ones & differ[3]) | (differ[4] & (ones ^ differ[3]));
    planes[0] = ones ^ differ[3] ^ differ[4];
    planes[1] = carry ^ rest;
    planes[2] = carry & rest;
}

static inline int kwsi_memory_count(const uint64_t planes[3], int channel) {
    return (int)(planes[0] >> channel & 1) + 2 * (int)(planes[1] >> channel & 1) + 4 * (int)(planes[2] >> channel & 1);
}

/* The count of a row of planes, [planes][words]: of two, the first counts twice. */
static inline int kwsi_plane_differences(const uint64_t *row, const uint64_t *weight, int words, int planes) {
    int count = kwsi_differences(row, weight, words);
    return planes == 1 ? count : 2 * count + kwsi_differences(row + words, weight, words);
}

/* The trace's view of the same sums, see trace.c: one step of the second convolution, [m][32]; a matrix product,
 * [steps][outputs]; a memory, [steps][64 words]. */
int16_t *kwsi_trace_conv2(const uint16_t *const *columns, int m, int planes, const uint16_t *weight, int16_t *trace);
int16_t *kwsi_trace_matmul(const uint64_t *bits, const uint64_t *weight, int steps, int words, int outputs, int planes,
                           int16_t *trace);
int16_t *kwsi_trace_memory(const uint64_t *bits, const uint64_t *weight, int steps, int words, int planes,
                           int16_t *trace);

#endif
