/* SPDX-License-Identifier: Apache-2.0
 *
 * The depthwise memory on NEON: gathers what a tile of 128 channels, or of the last 64, needs for memory_neon.S.
 */
#include "kernels_neon.h"

#if defined(__aarch64__)
#include <arm_neon.h>

enum { ROWS = KWSI_TILE + KWS_KERNEL - 1 };

void kwsi_memory_neon_tile(const uint64_t *taps_and_rows, int sixteens, const kwsi_affine_t *affine, int16_t *x,
                           const int16_t *threshold, uint64_t *out, size_t bytes);

/* `count` words that lie `stride` apart, each with the one after it, or with zeros where the row ends there. */
static inline void gather(const uint64_t *at, int stride, int count, int is_pair, uint64_t *pairs) {
    for (; count > 0; count--, at += stride, pairs += 2) {
        vst1q_u64(pairs, is_pair ? vld1q_u64(at) : vcombine_u64(vld1_u64(at), vdup_n_u64(0)));
    }
}

void kwsi_memory_neon(const uint64_t *bits, const uint64_t *weight, int steps, int words, const kwsi_affine_t *affine,
                      int16_t *x, const int16_t *threshold, uint64_t *out) {
    for (int i = 0; i < words; i += 2) {
        int is_pair = i + 1 < words;
        kwsi_affine_t numbers = {affine->scale + 64 * i, affine->bias + 64 * i, affine->slope + 64 * i};
        uint64_t taps_and_rows[2 * (KWS_KERNEL + ROWS)];
        gather(weight + i, words, KWS_KERNEL, is_pair, taps_and_rows);
        for (int tile = 0; tile < steps; tile += KWSI_TILE) {
            int before = tile - KWS_KERNEL / 2, first = before > 0 ? before : 0;
            int end = before + ROWS < steps ? before + ROWS : steps;
            uint64_t *rows = taps_and_rows + 2 * KWS_KERNEL;
            memset(rows, 0, sizeof *rows * 2 * ROWS);
            gather(bits + first * words + i, words, end - first, is_pair, rows + 2 * (first - before));
            kwsi_memory_neon_tile(taps_and_rows, is_pair ? 8 : 4, &numbers, x + (tile * words + KWSI_TILE * i) * 64,
                                  threshold + 64 * i, out + tile * words + i, sizeof *out * (size_t)words);
        }
    }
}

#endif
