/* SPDX-License-Identifier: Apache-2.0
 *
 * Projection on NEON, a chunk of outputs at a time: count_neon.S counts, finish_neon.S adds to x and takes the signs.
 */
#include "kernels_neon.h"

#if defined(__aarch64__)

#include "residual.h"

#include <arm_neon.h>

/* In count_neon.S. */
void kwsi_count_one_neon(const uint64_t *bits, const uint64_t *weight, int words, int outputs, int16_t *sums);

/* Adds what one word of eight rows counts to the outputs' sums, `times` so often; rows lie `row` words apart, weights
 * `column`. */
static void count_word(const uint64_t *bits, int row, const uint64_t *weight, int column, int outputs, int16_t times,
                       int16_t *sums) {
    uint8x16_t pairs[KWSI_TILE / 2];
    for (int i = 0; i < KWSI_TILE / 2; i++, bits += 2 * row) {
        pairs[i] = vreinterpretq_u8_u64(vcombine_u64(vld1_u64(bits), vld1_u64(bits + row)));
    }
    for (int o = 0; o < outputs; o++, weight += column, sums += KWSI_TILE) {
        uint8x16_t w = vreinterpretq_u8_u64(vld1q_dup_u64(weight)), counts[KWSI_TILE / 2];
        for (int i = 0; i < KWSI_TILE / 2; i++) {
            counts[i] = vcntq_u8(veorq_u8(pairs[i], w));
        }
        uint8x16_t folded = vpaddq_u8(vpaddq_u8(counts[0], counts[1]), vpaddq_u8(counts[2], counts[3]));
        vst1q_s16(sums, vmlaq_n_s16(vld1q_s16(sums), vreinterpretq_s16_u16(vpaddlq_u8(folded)), times));
    }
}

const int16_t *kwsi_count_neon(const uint64_t *bits, int planes, const uint64_t *weight, int words, int outputs,
                               int16_t space[KWSI_SPACE]) {
    int16_t *sums = space + KWSI_SPACE - KWSI_CHUNK * KWSI_TILE;
    size_t bytes = sizeof *bits * (size_t)words;
    if (words == 1 || (planes == 1 && words != 4)) { /* else the first sums are not added to any */
        memset(sums, 0, sizeof *sums * (size_t)(outputs * KWSI_TILE));
    }
    if (planes == 1) {
        kwsi_count_one_neon(bits, weight, words, outputs, sums);
    } else {
        kwsi_count_two_neon(bits, weight, words, outputs, sums, bytes, bytes);
    }
    for (int plane = 0; plane < planes && words % 2; plane++) {
        count_word(bits + (plane + 1) * words - 1, planes * words, weight + words - 1, words, outputs,
                   (int16_t)(planes - plane), sums);
    }
    return sums;
}

void kwsi_project_neon(const uint64_t *bits, const uint64_t *weight, int words, int outputs,
                       const kwsi_affine_t *affine, int16_t *x, const int16_t *threshold, uint64_t *out) {
    int16_t space[KWSI_SPACE];
    kwsi_signs_t signs = {threshold, out, sizeof *out * (size_t)(outputs / KWSI_WORD)};
    for (int o = 0, count; o < outputs; o += count) {
        count = kwsi_chunk(outputs, o);
        const int16_t *sums = kwsi_count_neon(bits, 1, weight + o * words, words, count, space);
        kwsi_residual_neon(sums, kwsi_shift(KWSI_WORD * words), affine, (size_t)o, (size_t)count, x + o * KWSI_TILE,
                           threshold ? &signs : NULL);
    }
}

#endif
