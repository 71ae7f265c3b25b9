/* SPDX-License-Identifier: Apache-2.0
 *
 * The depthwise memory on NEON: gathers what a tile of 128 channels, or of the last 64, needs for memory_neon.S.
 */
#include "kernels_neon.h"

#if defined(__aarch64__)
#include <arm_neon.h>

enum { BEFORE = KWS_KERNEL / 2, ROWS = KWSI_TILE + 2 * BEFORE };

/* 128 channels. */
typedef struct pair {
    uint64_t word[2];
} pair_t;

void kwsi_memory_neon_tile(const pair_t *rows, const pair_t *taps, const kwsi_affine_t *affine, int16_t *x,
                           const int16_t *threshold, uint64_t *out, size_t bytes, int sixteens);

/* A window of one tile and 128 channels, the usual size: rows and taps lie as they are wanted. */
static void run_one(const uint64_t *bits, const uint64_t *weight, const kwsi_affine_t *affine, int16_t *x,
                    const int16_t *threshold, uint64_t *out) {
    pair_t rows[ROWS];
    memset(rows, 0, sizeof *rows * BEFORE);
    memcpy(rows + BEFORE, bits, sizeof *rows * KWSI_TILE);
    memset(rows + BEFORE + KWSI_TILE, 0, sizeof *rows * BEFORE);
    kwsi_memory_neon_tile(rows, (const pair_t *)weight, affine, x, threshold, out, sizeof *rows, 8);
}

/* `count` rows of `words`, of each the words i and i + 1, or word i and zeros where the row ends there. */
__attribute__((noinline)) static void gather(const uint64_t *at, int words, int i, int count, pair_t *pairs) {
    for (int row = 0; row < count; row++, at += words) {
        pairs[row] = (pair_t){{at[i], i + 1 < words ? at[i + 1] : 0}};
    }
}

void kwsi_memory_neon(const uint64_t *bits, const uint64_t *weight, int steps, int words, const kwsi_affine_t *affine,
                      int16_t *x, const int16_t *threshold, uint64_t *out) {
    if (words == 2 && steps == KWSI_TILE) {
        run_one(bits, weight, affine, x, threshold, out);
        return;
    }
    for (int i = 0; i < words; i += 2) {
        kwsi_affine_t numbers = {affine->scale + 64 * i, affine->bias + 64 * i, affine->slope + 64 * i};
        pair_t rows[ROWS], taps[KWS_KERNEL];
        gather(weight, words, i, KWS_KERNEL, taps);
        for (int tile = 0; tile < steps; tile += KWSI_TILE) {
            int before = tile > 0 ? BEFORE : 0, left = steps - tile;
            int count = before + (left < KWSI_TILE + BEFORE ? left : KWSI_TILE + BEFORE);
            memset(rows, 0, sizeof rows);
            gather(bits + (tile - before) * words, words, i, count, rows + BEFORE - before);
            kwsi_memory_neon_tile(rows, taps, &numbers, x + (tile * words + KWSI_TILE * i) * 64, threshold + 64 * i,
                                  out + tile * words + i, sizeof *out * (size_t)words, i + 1 < words ? 8 : 4);
        }
    }
}

#endif
